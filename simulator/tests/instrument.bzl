"""Programs with clang's sanitizers in what is ours, and only there."""

def instrumented_binary(name, srcs, copts, sanitizers, deps = []):
    """A program with an instrumented copy of the simulator's own sources.

    TensorFlow Lite, 400 files that take 9 minutes, stays as it is for everything else: a config for the whole build would
    compile it once per sanitizer. What it does to memory that it is given is not seen then, only what we do, and what the
    C library does for either.

    The sanitizers' runtimes are Debian's, in docker/tester.Dockerfile, where these programs run too.
    """
    flags = copts + ["-fsanitize=" + sanitizers, "-fno-sanitize-recover=all", "-g1", "-U_FORTIFY_SOURCE"]
    native.cc_library(
        name = name + "_library",
        testonly = True,
        srcs = ["//:sources"],
        hdrs = ["//:source_headers"],
        copts = flags + ["-Wno-unused-command-line-argument"],
        strip_include_prefix = "/src",
        deps = [
            "//:headers",
            "@org_tensorflow//tensorflow/lite:c_api",
            "@org_tensorflow//tensorflow/lite:framework",
            "@stamp//:commit",
        ],
        alwayslink = True,
    )
    native.cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = flags,
        linkopts = [
            "-fsanitize=" + sanitizers,
            # The part of the runtimes that is for C++: the toolchain links by `clang`, which leaves it out.
            "-fsanitize-link-c++-runtime",
            # What stands in for functions above the floor (docker/builder/floor) is intercepted by the runtimes too:
            # both define __isoc23_strtoul, and either will do.
            "-Wl,--allow-multiple-definition",
        ],
        linkstatic = True,
        deps = deps + [":%s_library" % name],
    )
