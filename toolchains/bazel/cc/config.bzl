"""clang + lld for one target, with that target's sysroot. The exec platform is always x86-64 Linux."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl", "env_entry", "env_set", "feature", "flag_group", "flag_set", "tool_path")
load("@coralforge_toolchain//:toolchain.bzl", "CLANG_MAJOR")

# Where docker/builder.Dockerfile unpacks the compiler.
LLVM = "/opt/llvm/usr/lib/llvm-" + CLANG_MAJOR

CXX_ACTIONS = [
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.linkstamp_compile,
]

COMPILE_ACTIONS = CXX_ACTIONS + [
    ACTION_NAMES.assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.preprocess_assemble,
]

LINK_ACTIONS = [
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

COMPILE_FLAGS = [
    "-no-canonical-prefixes",
    "-O2",
    "-DNDEBUG",
    "-fstack-protector-strong",
    "-U_FORTIFY_SOURCE",
    "-D_FORTIFY_SOURCE=2",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    # For backtraces: functions, what was inlined, files and lines. Variables too would make objects 20 times as large, not
    # 4 times. build-sdk keeps it in files of its own (bazel_build.strip). DWARF 4, since gdb of Ubuntu 18.04 reads no newer
    # one; it has to come first, since by itself it means all there is.
    "-gdwarf-4",
    "-gline-tables-only",
    "-fdebug-compilation-dir=.",
    # The same bytes on every day and in every folder: Bazel passes relative paths, this shortens what __FILE__ keeps.
    "-Wno-builtin-macro-redefined",
    "-D__DATE__=\"redacted\"",
    "-D__TIME__=\"redacted\"",
    "-D__TIMESTAMP__=\"redacted\"",
    "-ffile-prefix-map=external/_main~sources~=",
]

LINK_FLAGS = [
    "-fuse-ld=lld",
    "-Wl,-z,relro,-z,now",
    "-Wl,-z,defs",
    "-Wl,--as-needed",
    "-Wl,--gc-sections",
    "-Wl,--hash-style=gnu",
    "-Wl,--build-id=sha1",
    # libedgetpu.lds names symbols that are not always there; lld 16 and newer make that an error.
    "-Wl,--undefined-version",
    "-lstdc++",
    "-lm",
    "-ldl",
    "-lpthread",
]

def _flags(name, actions, flags, enabled = True):
    return feature(
        name = name,
        enabled = enabled,
        flag_sets = [flag_set(actions = actions, flag_groups = [flag_group(flags = flags)])],
    )

def _config_impl(ctx):
    triple = ctx.attr.triple
    sysroot = "/opt/sysroots/" + triple
    every_action = COMPILE_ACTIONS + LINK_ACTIONS
    features = [
        feature(
            name = "toolchain_digest",
            enabled = True,
            # The compiler and the sysroot are no inputs of an action. Its environment is part of its key, so a new
            # image rebuilds, and a remote cache cannot mix up two images. A library that changes compiles nothing.
            env_sets = [
                env_set(
                    actions = COMPILE_ACTIONS,
                    env_entries = [env_entry("CORALFORGE_TOOLCHAIN", ctx.attr.headers)],
                ),
                env_set(
                    actions = LINK_ACTIONS + [ACTION_NAMES.cpp_link_static_library],
                    env_entries = [env_entry("CORALFORGE_TOOLCHAIN", ctx.attr.digest)],
                ),
            ],
        ),
        _flags("target", every_action, ["--target=" + triple] + ctx.attr.flags),
        _flags("compile_flags", COMPILE_ACTIONS, COMPILE_FLAGS),
        _flags("cxx_standard", CXX_ACTIONS, ["-std=c++17"]),
        _flags("link_flags", LINK_ACTIONS, LINK_FLAGS),
        _flags("throttle_edge_tpu", CXX_ACTIONS, ["-DTHROTTLE_EDGE_TPU"], enabled = False),
        feature(name = "opt"),
        feature(name = "supports_pic", enabled = True),
        feature(name = "supports_start_end_lib", enabled = True),
    ]
    tools = {
        "ar": "llvm-ar",
        "cpp": "clang",
        "dwp": "llvm-dwp",
        "gcc": "clang",
        "gcov": "llvm-cov",
        "ld": "ld.lld",
        "nm": "llvm-nm",
        "objcopy": "llvm-objcopy",
        "objdump": "llvm-objdump",
        "strip": "llvm-strip",
    }
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "glibc",
        abi_version = "local",
        builtin_sysroot = sysroot,
        # abseil selects its flags on this word.
        compiler = "clang",
        cxx_builtin_include_directories = [
            "%sysroot%/usr/include",
            "%sysroot%/usr/lib/gcc",
            "%s/lib/clang/%s/include" % (LLVM, CLANG_MAJOR),
            # The sanitizers' lists of what they ignore.
            "%s/lib/clang/%s/share" % (LLVM, CLANG_MAJOR),
        ],
        features = features,
        host_system_name = "local",
        target_cpu = ctx.attr.cpu,
        target_libc = "glibc",
        target_system_name = triple,
        tool_paths = [tool_path(name = name, path = "%s/bin/%s" % (LLVM, tool)) for name, tool in tools.items()],
        toolchain_identifier = "clang-" + triple,
    )

config = rule(
    implementation = _config_impl,
    attrs = {
        "cpu": attr.string(mandatory = True),
        # Of compiler and sysroot together, and of the compiler with the sysroot's headers.
        "digest": attr.string(mandatory = True),
        "flags": attr.string_list(),
        "headers": attr.string(mandatory = True),
        "triple": attr.string(mandatory = True),
    },
    provides = [CcToolchainConfigInfo],
)
