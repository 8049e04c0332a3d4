// Runs models on inputs that are always the same, and prints a digest of all
// that they give: NAME SIZE DIGEST for each output.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tensorflow/lite/c/c_api.h"

static uint64_t state;

// xorshift64: the same numbers on every machine.
static uint64_t Next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static int Fill(TfLiteTensor *tensor) {
  const size_t size = TfLiteTensorByteSize(tensor);
  if (TfLiteTensorType(tensor) != kTfLiteUInt8 &&
      TfLiteTensorType(tensor) != kTfLiteInt8)
    return 1;
  uint8_t *bytes = malloc(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = (uint8_t)Next();
  const int status = TfLiteTensorCopyFromBuffer(tensor, bytes, size);
  free(bytes);
  return status;
}

// FNV-1a, 64 bits.
static uint64_t Digest(const uint8_t *bytes, size_t size) {
  uint64_t digest = 14695981039346656037u;
  for (size_t i = 0; i < size; ++i)
    digest = (digest ^ bytes[i]) * 1099511628211u;
  return digest;
}

static int Run(const char *path) {
  TfLiteModel *model = TfLiteModelCreateFromFile(path);
  TfLiteInterpreterOptions *options = TfLiteInterpreterOptionsCreate();
  TfLiteInterpreterOptionsSetNumThreads(options, 1);
  TfLiteInterpreter *interpreter =
      model == NULL ? NULL : TfLiteInterpreterCreate(model, options);
  int failed = interpreter == NULL ||
               TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk;
  state = 88172645463325252u;
  for (int i = 0;
       !failed && i < TfLiteInterpreterGetInputTensorCount(interpreter); ++i) {
    failed = Fill(TfLiteInterpreterGetInputTensor(interpreter, i));
  }
  failed = failed || TfLiteInterpreterInvoke(interpreter) != kTfLiteOk;
  for (int i = 0;
       !failed && i < TfLiteInterpreterGetOutputTensorCount(interpreter); ++i) {
    const TfLiteTensor *tensor =
        TfLiteInterpreterGetOutputTensor(interpreter, i);
    const size_t size = TfLiteTensorByteSize(tensor);
    printf("%s %zu %016llx\n", path, size,
           (unsigned long long)Digest(TfLiteTensorData(tensor), size));
  }
  if (interpreter != NULL)
    TfLiteInterpreterDelete(interpreter);
  TfLiteInterpreterOptionsDelete(options);
  if (model != NULL)
    TfLiteModelDelete(model);
  return failed;
}

int main(int count, char **words) {
  for (int i = 1; i < count; ++i) {
    if (Run(words[i]) != 0) {
      fprintf(stderr, "%s: does not run\n", words[i]);
      return 1;
    }
  }
  return 0;
}
