"""Repositories from source trees that were fetched, verified and mounted read-only before Bazel started.

build-sdk says in CORALFORGE_REQUEST which trees there are, each with a digest, and which platforms, toolchain and commit
(--repo_env: in a module extension Bazel watches the environment, but no file outside of the workspace). A digest is an
attribute of its repository, so a repository is made again when, and only when, its digest (or its overlay) changes.
"""

# Repository: (source, overlay folder, what to link; empty = the whole tree).
# An overlay's files are laid over the tree, as a module registry would do it.
REPOSITORIES = {
    "com_google_absl": ("abseil", "", []),
    "cpuinfo": ("cpuinfo", "", []),
    "device": ("device", "", []),
    "eigen": ("eigen", "eigen", ["Eigen", "unsupported/Eigen"]),
    "farmhash": ("farmhash", "farmhash", ["src"]),
    "fft2d": ("fft2d", "fft2d", []),
    "flatbuffers": ("flatbuffers", "flatbuffers", [
        "build_defs.bzl",
        "grpc/src",
        "include",
        "reflection/BUILD.bazel",
        "reflection/reflection.fbs",
        "src",
    ]),
    "fxdiv": ("fxdiv", "fxdiv", ["include"]),
    "gemmlowp": ("gemmlowp", "", []),
    "googletest": ("googletest", "", []),
    "libedgetpu": ("libedgetpu", "", []),
    "libusb": ("libusb", "libusb", ["libusb"]),
    "neon2sse": ("neon2sse", "neon2sse", ["NEON_2_SSE.h"]),
    "org_tensorflow": ("tensorflow", "tensorflow", [
        "tensorflow/core/public",
        "tensorflow/lite",
        "tensorflow/tsl/framework/convolution",
        "tensorflow/tsl/lib/random",
        "third_party/eigen3",
        "third_party/fft2d",
    ]),
    "pthreadpool": ("pthreadpool", "pthreadpool", ["include", "src"]),
    "ruy": ("ruy", "", []),
    "simulator": ("simulator", "", []),
}

# Overlays whose files belong to one release of TensorFlow: the folder's name ends with it, as in tensorflow-2.14.
PER_RELEASE = ["tensorflow"]

# TF's BUILD files load a workspace of gigabytes: all of them go, and the overlay's three take their place.
WITHOUT_OWN_BUILD_FILES = ["org_tensorflow"]

# Which TensorFlow commit a library belongs to, as text in it: `strings` and the gate look for TENSORFLOW_COMMIT=.
# "retain" keeps it through --gc-sections; it is data and no symbol name, so strip keeps it too.
STAMP_SOURCE = """#include "coralforge_stamp.h"
extern "C" __attribute__((used, retain, visibility("hidden"))) const char kCoralforgeTensorflowCommit[] =
    "TENSORFLOW_COMMIT=" CORALFORGE_TENSORFLOW_COMMIT;
"""

STAMP_BUILD = """cc_library(
    name = "commit",
    srcs = ["commit.cc"],
    hdrs = ["coralforge_stamp.h"],
    alwayslink = True,
    includes = ["."],
    visibility = ["//visibility:public"],
)
"""

def _run(rctx, arguments):
    result = rctx.execute(arguments)
    if result.return_code:
        fail("%s: %s: %s" % (rctx.name, arguments[0], result.stderr))

def _source_repository_impl(rctx):
    if not rctx.attr.digest:
        fail("the source '%s' is not in this request: a target was asked for that needs it" % rctx.attr.source)
    tree = "/sources/" + rctx.attr.source

    # Links, not copies: the trees stay read-only, and a farm of 4,000 files takes well under a second.
    for path in rctx.attr.paths or ["."]:
        _run(rctx, ["mkdir", "-p", path.rpartition("/")[0] or "."])
        _run(rctx, ["cp", "-rsT", tree + "/" + path, path])
    if rctx.attr.drop_build_files:
        _run(rctx, ["find", ".", "(", "-name", "BUILD", "-o", "-name", "BUILD.bazel", ")", "-delete"])
    _run(rctx, ["rm", "-f", "WORKSPACE", "WORKSPACE.bazel", "WORKSPACE.bzlmod", "MODULE.bazel", ".bazelrc"])
    if rctx.attr.overlay:
        overlay = rctx.path(Label("//:MODULE.bazel")).dirname.get_child("overlays").get_child(rctx.attr.overlay)
        if not overlay.exists:
            fail("error: there is no overlays/%s in toolchains/bazel, which this release needs" % rctx.attr.overlay)
        rctx.watch_tree(overlay)
        _run(rctx, ["cp", "-rsfT", str(overlay), "."])
    elif not rctx.path("BUILD").exists and not rctx.path("BUILD.bazel").exists:
        rctx.file("BUILD.bazel", "")

_source_repository = repository_rule(
    implementation = _source_repository_impl,
    attrs = {
        "digest": attr.string(),
        "drop_build_files": attr.bool(),
        "overlay": attr.string(),
        "paths": attr.string_list(),
        "source": attr.string(),
    },
)

def _generated_repository_impl(rctx):
    for path, content in rctx.attr.files.items():
        rctx.file(path, content)

_generated_repository = repository_rule(
    implementation = _generated_repository_impl,
    attrs = {"files": attr.string_dict()},
)

def _sources_impl(module_ctx):
    request = json.decode(module_ctx.getenv("CORALFORGE_REQUEST"))
    given = request["sources"]

    for name, (source, overlay, paths) in REPOSITORIES.items():
        entry = given.get(source, {"digest": ""})
        if overlay in PER_RELEASE:
            overlay += "-" + request["release"].rpartition(".")[0]
        prebuilt = entry.get("prebuilt", False)
        _source_repository(
            name = name,
            digest = entry["digest"],
            drop_build_files = name in WITHOUT_OWN_BUILD_FILES,
            overlay = source + "_prebuilt" if prebuilt else overlay,
            paths = ["usr"] if prebuilt else paths,
            source = source,
        )

    # libedgetpu's BUILD files know flatbuffers by one name and flatbuffers' own macros by another.
    _generated_repository(
        name = "com_github_google_flatbuffers",
        files = {"BUILD.bazel": "\n".join([
            'alias(name = "%s", actual = "@flatbuffers//:%s", visibility = ["//visibility:public"])' % (name, actual)
            for name, actual in [("flatc", "flatc"), ("flatbuffers", "flatbuffers"), ("runtime_cc", "flatbuffers")]
        ])},
    )
    _generated_repository(
        name = "stamp",
        files = {
            "BUILD.bazel": STAMP_BUILD,
            "commit.cc": STAMP_SOURCE,
            "coralforge_stamp.h": '#define CORALFORGE_TENSORFLOW_COMMIT "%s"\n' % request["tensorflow_commit"],
        },
    )
    _generated_repository(
        name = "coralforge_toolchain",
        files = {
            "BUILD.bazel": "",
            "toolchain.bzl": "PLATFORMS = %r\nCLANG_MAJOR = %r\nPREBUILT = %r\n" % (
                request["platforms"],
                request["clang"].partition(".")[0],
                sorted([name for name, entry in given.items() if entry["prebuilt"]]),
            ),
        },
    )

sources = module_extension(implementation = _sources_impl)
