// Compares two builds of libtensorflowlite_c.so in one process: one model, one
// thread, in turn with each.
//
//   cc -O2 -o compare_libraries tests/performance/compare_libraries.c -ldl
//   taskset -c 1 ./compare_libraries OLD.so NEW.so MODEL SECONDS FIRST
//
// Prints the pairs of runs, the median milliseconds of processor time per
// inference of OLD and of NEW, and the median, the 10th and the 90th percentile
// of NEW / OLD over the pairs. What else runs on the machine takes no processor
// time of this process, and each pair meets the same state of the caches. FIRST
// (0 or 1) is the build that is loaded first; run it with both, and several
// times: where a process has its memory counts for a percent.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kMaxPairs = 20000, kMinPairs = 7, kFloat32 = 1, kInt32 = 2, kInt64 = 4 };

static void *library;
static uint64_t state;

static uint64_t Next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static void *Symbol(const char *name) {
  void *symbol = dlsym(library, name);
  if (symbol == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return symbol;
}

typedef struct {
  int (*invoke)(void *);
  void *interpreter;
} Build;

static void Fill(void *tensor) {
  const size_t size =
      ((size_t (*)(const void *))Symbol("TfLiteTensorByteSize"))(tensor);
  const int type = ((int (*)(const void *))Symbol("TfLiteTensorType"))(tensor);
  unsigned char *bytes = calloc(1, size);
  if (type == kFloat32) {
    for (size_t i = 0; i < size / 4; ++i)
      ((float *)bytes)[i] = (float)(Next() >> 40) / (1 << 24) * 2 - 1;
  } else if (type != kInt32 && type != kInt64) {
    for (size_t i = 0; i < size; ++i)
      bytes[i] = (unsigned char)Next();
  }
  ((int (*)(void *, const void *, size_t))Symbol("TfLiteTensorCopyFromBuffer"))(
      tensor, bytes, size);
  free(bytes);
}

// In a namespace of its own: both have the same SONAME, and the second would be
// the first again.
static Build Load(const char *path, const char *file) {
  library = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  void *options = ((void *(*)(void))Symbol("TfLiteInterpreterOptionsCreate"))();
  ((void (*)(void *, int))Symbol("TfLiteInterpreterOptionsSetNumThreads"))(
      options, 1);
  void *model =
      ((void *(*)(const char *))Symbol("TfLiteModelCreateFromFile"))(file);
  Build build = {(int (*)(void *))Symbol("TfLiteInterpreterInvoke"), NULL};
  if (model != NULL)
    build.interpreter =
        ((void *(*)(void *, void *))Symbol("TfLiteInterpreterCreate"))(model,
                                                                       options);
  if (build.interpreter == NULL ||
      ((int (*)(void *))Symbol("TfLiteInterpreterAllocateTensors"))(
          build.interpreter)) {
    fprintf(stderr, "%s does not load\n", file);
    exit(1);
  }
  state = 88172645463325252u;
  const int inputs = ((int (*)(const void *))Symbol(
      "TfLiteInterpreterGetInputTensorCount"))(build.interpreter);
  for (int i = 0; i < inputs; ++i) {
    Fill(((void *(*)(void *, int))Symbol("TfLiteInterpreterGetInputTensor"))(
        build.interpreter, i));
  }
  return build;
}

static double Now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

// Milliseconds per inference, over so many of them that the clock does not
// count.
static double Measure(const Build *build, int batch) {
  const double start = Now();
  for (int i = 0; i < batch; ++i) {
    if (build->invoke(build->interpreter) != 0)
      exit(1);
  }
  return (Now() - start) / batch;
}

static int Compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **words) {
  static double times[2][kMaxPairs], ratios[kMaxPairs];
  if (count != 6) {
    fprintf(stderr,
            "usage: compare_libraries OLD.so NEW.so MODEL SECONDS FIRST\n");
    return 2;
  }
  Build builds[2];
  const int first = atoi(words[5]) != 0;
  builds[first] = Load(words[1 + first], words[3]);
  builds[!first] = Load(words[1 + !first], words[3]);
  Measure(&builds[0], 2);
  Measure(&builds[1], 2);
  const double once = Measure(&builds[0], 1), start = Now();
  const int batch = once < 1 ? (int)(1 / once) + 1 : 1;
  int pairs = 0;
  for (; pairs < kMaxPairs &&
         (pairs < kMinPairs || Now() - start < atof(words[4]) * 1e3);
       ++pairs) {
    const int starts = pairs & 1;
    times[starts][pairs] = Measure(&builds[starts], batch);
    times[!starts][pairs] = Measure(&builds[!starts], batch);
    ratios[pairs] = times[1][pairs] / times[0][pairs];
  }
  qsort(times[0], pairs, sizeof(double), Compare);
  qsort(times[1], pairs, sizeof(double), Compare);
  qsort(ratios, pairs, sizeof(double), Compare);
  printf("%d %.5f %.5f %.4f %.4f %.4f\n", pairs, times[0][pairs / 2],
         times[1][pairs / 2], ratios[pairs / 2], ratios[pairs / 10],
         ratios[pairs * 9 / 10]);
  return 0;
}
