"""The worker process of `invoke quantize`, in an environment that has TensorFlow.

Nothing here may need more than the standard library, numpy, Pillow and h5py when it is imported; TensorFlow and
Keras are imported inside functions, after everything that can be refused without them was refused.
"""
