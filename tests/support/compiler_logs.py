"""Output of Google's compiler that people posted (google-coral/edgetpu issues, by number), cut short."""

from __future__ import annotations

PARTLY = (
    "Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model "
    "will instead run on the CPU, which is slower. If possible, consider updating your model to use only operations "
    "supported by the Edge TPU. For details, visit g.co/coral/model-reqs."
)
TABLE = "Operator                       Count      Status\n"
UNSPECIFIED = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
LARGE = """Started a compilation timeout timer of 180 seconds.
ERROR: Restored original execution plan after delegate application failure.
Compilation failed: Compilation failed due to large activation tensors in model.
Compilation child process completed within timeout period.
Compilation failed!
"""

# 2.0: "available" is all of the memory; no timer, no last line; an operator with an unknown status (27).
OLD = f"""Edge TPU Compiler version 2.0.267685300

Model compiled successfully in 313 ms.

Input model: output_tflite_graph.tflite
Input size: 5.33MiB
Output model: output_tflite_graph_edgetpu.tflite
Output size: 5.75MiB
On-chip memory available for caching model parameters: 7.62MiB
On-chip memory used for caching model parameters: 5.66MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 64
Operation log: output_tflite_graph_edgetpu.log

{PARTLY}
Number of operations that will run on Edge TPU: 62
Number of operations that will run on CPU: 2

{TABLE}
CUSTOM                         1          Operation is working on an unsupported data type
FULLY_CONNECTED                1          For example, a fully-connected or softmax layer with 2D output
CONV_2D                        34         Mapped to Edge TPU
CONCATENATION                  28         Mapped to Edge TPU
"""

# 14.1 without -s: the table is in the .log only (211)
NO_TABLE = f"""Edge TPU Compiler version 14.1.317412892

Model compiled successfully in 1626 ms.

Input model: cam-ai_model_quant.tflite
Input size: 46.29MiB
Output model: cam-ai_model_quant_edgetpu.tflite
Output size: 47.24MiB
On-chip memory used for caching model parameters: 5.99MiB
On-chip memory remaining for caching model parameters: 74.00KiB
Off-chip memory used for streaming uncached model parameters: 15.73MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 108
Operation log: cam-ai_model_quant_edgetpu.log

{PARTLY}
Number of operations that will run on Edge TPU: 102
Number of operations that will run on CPU: 6
See the operation log file for individual operation details.
"""

# 15.0 with nothing mapped, exit status 0 (358)
NOTHING = f"""Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 17 ms.

Input model: internal_err.tflite
Input size: 961.05KiB
Output model: internal_err_edgetpu.tflite
Output size: 882.13KiB
On-chip memory used for caching model parameters: 0.00B
On-chip memory remaining for caching model parameters: 0.00B
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 0
Total number of operations: 69
Operation log: internal_err_edgetpu.log

{PARTLY}
Number of operations that will run on Edge TPU: 0
Number of operations that will run on CPU: 69

{TABLE}
CONV_2D                        69         Operation is working on an unsupported data type
"""

# 16.0 with several subgraphs and several rows for one operator
NEW = f"""Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 3173 ms.

Input model: yolov5s-int8-224.tflite
Input size: 7.37MiB
Output model: yolov5s-int8-224_edgetpu.tflite
Output size: 8.34MiB
On-chip memory used for caching model parameters: 6.08MiB
On-chip memory remaining for caching model parameters: 0.00B
Off-chip memory used for streaming uncached model parameters: 1.70MiB
Number of Edge TPU subgraphs: 2
Total number of operations: 294
Operation log: yolov5s-int8-224_edgetpu.log

{PARTLY}
Number of operations that will run on Edge TPU: 289
Number of operations that will run on CPU: 5

{TABLE}
RESIZE_NEAREST_NEIGHBOR        2          Mapped to Edge TPU
TRANSPOSE                      1          {UNSPECIFIED}
TRANSPOSE                      2          Mapped to Edge TPU
QUANTIZE                       4          {UNSPECIFIED}
MUL                            285        Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded!
"""

# two models compiled together (458)
TOGETHER = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Models compiled successfully in 524 ms.

Input model: temp_models/1.tflite
Input size: 1.91MiB
Output model: temp_models/co-compiled/2/1_edgetpu.tflite
Output size: 2.52MiB
On-chip memory used for caching model parameters: 2.27MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 57
Operation log: temp_models/co-compiled/2/1_edgetpu.log
See the operation log file for individual operation details.

Input model: temp_models/2.tflite
Input size: 1.87MiB
Output model: temp_models/co-compiled/2/2_edgetpu.tflite
Output size: 2.06MiB
On-chip memory used for caching model parameters: 2.00MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 6
Operation log: temp_models/co-compiled/2/2_edgetpu.log
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded!
"""

# --search_delegate: fails, and then does not (444)
SEARCH = (
    "Edge TPU Compiler version 16.0.384591198\nSearching for valid delegate with step 10\n"
    f"Try to compile segment with 322 ops\n{LARGE}"
    f"Try to compile segment with 312 ops\nIntermediate tensors: Reshape_5,Sigmoid1;box-0-bn-7/Fused\n{LARGE}"
    "Try to compile segment with 302 ops\nIntermediate tensors: Reshape_4,Reshape\n" + NEW.partition("\n")[2]
)

# --num_segments 2: the first is fine, the second is not (557); it must not pass for success
SECOND_FAILS = NEW.replace("yolov5s-int8-224", "lite3_segment_0_of_2") + LARGE

VERSION_16 = "Edge TPU Compiler version 16.0.384591198\n"
VERSION_15 = "Edge TPU Compiler version 15.0.340273435\n"
TIMER = "Started a compilation timeout timer of 180 seconds.\n"
FAILED = "Compilation child process completed within timeout period.\nCompilation failed! \n"
INTERPRETER = (
    "Compilation failed: Model failed in Tflite interpreter. Please ensure model can be loaded/run in Tflite "
    "interpreter.\n"
)
UNREADABLE = "ERROR: Registration failed.\n\nInvalid model: m.tflite\nModel could not be parsed\n"

FAILURES = {
    # 845
    "OP_VERSION": VERSION_16
    + "ERROR: Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'. An older version "
    "of this builtin might be supported. Are you using an old TFLite binary with a newer model?\n\n" + UNREADABLE,
    # 862
    "OP_NUMBER": VERSION_16 + "ERROR: Op builtin_code out of range: 151. Are you using old TFLite binary with newer "
    "model?\n" + UNREADABLE,
    "CUSTOM_OP": VERSION_16
    + TIMER
    + "ERROR: Encountered unresolved custom op: Atan.\nERROR: Node number 1 (Atan) failed "
    "to prepare.\n\n" + INTERPRETER + FAILED,
    # 479
    "FLEX": VERSION_16 + TIMER + "ERROR: Regular TensorFlow ops are not supported by this interpreter. Make sure you "
    "apply/link the Flex delegate before inference.\n" + INTERPRETER + FAILED,
    # 829
    "DYNAMIC": VERSION_16
    + TIMER
    + "ERROR: Attempting to use a delegate that only supports static-sized tensors with a "
    "graph that has dynamic-sized tensors.\n" + INTERPRETER + FAILED,
    # 168
    "NOT_QUANTIZED": "Edge TPU Compiler version 14.1.317412892\nInvalid model: my_mnist_quant.tflite\n"
    "Model not quantized\n",
    # 439
    "ACTIVATIONS": VERSION_16 + LARGE,
    # 686
    "TIMEOUT": VERSION_16 + TIMER + "Compilation timeout. This is usually caused by large activations.\nCompilation "
    "failed! \n",
    # 728
    "CRASH": VERSION_16
    + TIMER
    + "libc++abi: terminating with uncaught exception of type std::out_of_range: vector\n"
    + FAILED,
    # 92
    "INTERNAL": "Edge TPU Compiler version 2.1.302470888\n\nInternal compiler error. Aborting! \n",
    "INTERPRETER": VERSION_16 + TIMER + INTERPRETER + FAILED,
    "UNREADABLE": VERSION_15 + UNREADABLE,
    # 79
    "INVALID": "Edge TPU Compiler version 2.0.291256449\nInvalid model: inference_model_0_quant.tflite\n",
    # 800
    "UNEXPLAINED": VERSION_16 + TIMER + FAILED,
}
SEGFAULT = (
    VERSION_16 + "/usr/bin/edgetpu_compiler: line 3:  1531 Segmentation fault      (core dumped) "
    '${d}/edgetpu_compiler_bin/ld-linux-x86-64.so.2 --library-path ${d}/edgetpu_compiler_bin "$@"\n'
)

LOG = f"""Edge TPU Compiler version 14.1.317412892
Input: tiny_yolo.tflite
Output: tiny_yolo_edgetpu.tflite

{TABLE}
CONCATENATION                  1          More than one subgraph is not supported
MAX_POOL_2D                    6          Mapped to Edge TPU
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
QUANTIZE                       1          {UNSPECIFIED}
QUANTIZE                       2          Mapped to Edge TPU
"""
SUCCESSES = {"old": OLD, "no table": NO_TABLE, "nothing": NOTHING, "new": NEW, "together": TOGETHER, "search": SEARCH}
ALL = (*SUCCESSES.values(), SECOND_FAILS, SEGFAULT, LOG, *FAILURES.values())
