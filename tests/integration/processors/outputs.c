// Runs models on the same bytes and prints what each answers, in hexadecimal: outputs MODEL...
#include <stdint.h>
#include <stdio.h>

#include "tensorflow/lite/c/c_api.h"

static void Fill(TfLiteTensor* tensor) {
  uint8_t* data = TfLiteTensorData(tensor);
  uint32_t state = 1;
  for (size_t i = 0; i < TfLiteTensorByteSize(tensor); ++i) {
    state = state * 1103515245 + 12345;
    data[i] = (uint8_t)(state >> 16);
  }
}

static void Print(const TfLiteTensor* tensor) {
  const uint8_t* data = TfLiteTensorData(tensor);
  for (size_t i = 0; i < TfLiteTensorByteSize(tensor); ++i) printf("%02x", data[i]);
}

int main(int count, char** words) {
  for (int i = 1; i < count; ++i) {
    TfLiteModel* model = TfLiteModelCreateFromFile(words[i]);
    TfLiteInterpreter* interpreter = model ? TfLiteInterpreterCreate(model, NULL) : NULL;
    if (!interpreter || TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk) return 1;
    for (int k = 0; k < TfLiteInterpreterGetInputTensorCount(interpreter); ++k) {
      Fill(TfLiteInterpreterGetInputTensor(interpreter, k));
    }
    if (TfLiteInterpreterInvoke(interpreter) != kTfLiteOk) return 1;
    for (int k = 0; k < TfLiteInterpreterGetOutputTensorCount(interpreter); ++k) {
      Print(TfLiteInterpreterGetOutputTensor(interpreter, k));
    }
    printf("\n");
    TfLiteInterpreterDelete(interpreter);
    TfLiteModelDelete(model);
  }
}
