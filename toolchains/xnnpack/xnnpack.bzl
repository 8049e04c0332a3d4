"""The repositories that XNNPACK brings, as REPOSITORIES in sources.bzl has them."""

XNNPACK_REPOSITORIES = {
    "FP16": ("fp16", "fp16", ["include"]),
    # XNNPACK's BUILD file has FXdiv by this name.
    "FXdiv": ("fxdiv", "fxdiv-upper", ["include"]),
    "XNNPACK": ("xnnpack", "", [
        "BUILD.bazel",
        "build_defs.bzl",
        "emscripten.bzl",
        "include",
        "microkernels.bzl",
        "src",
    ]),
}
