# CMake toolchain file: builds for x86_64-linux-gnu on another machine.
#
#   cmake -S . -B build --toolchain toolchains/x86_64-linux-gnu.cmake
#
# With CORAL_SYSROOT (a CMake variable or an environment variable) it takes clang and lld with that root file system of
# the board: the C library there, and nothing of this machine, decides which boards the programs run on. Without it,
# the distribution's cross compiler is taken (Debian, Ubuntu: apt install g++-x86-64-linux-gnu), and the programs need
# a board whose C library is at least as new as the cross compiler's.

set(coral_triple x86_64-linux-gnu)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

# From here on all toolchain files of this folder are the same.
if(NOT CORAL_SYSROOT)
  set(CORAL_SYSROOT "$ENV{CORAL_SYSROOT}")
endif()
if(CORAL_SYSROOT AND NOT IS_DIRECTORY "${CORAL_SYSROOT}/usr/include")
  message(FATAL_ERROR "CORAL_SYSROOT=${CORAL_SYSROOT} is no root file system with headers (usr/include)")
endif()
set(CORAL_SYSROOT "${CORAL_SYSROOT}" CACHE PATH "Root file system of the board; empty: the cross compiler's own")
# Compiler tests run this file again, in a project of their own.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CORAL_SYSROOT)

find_program(CORAL_CLANG clang)
find_program(CORAL_CLANGXX clang++)
find_program(CORAL_LLD ld.lld)
find_program(CORAL_STRIP NAMES llvm-strip ${coral_triple}-strip)
find_program(CORAL_GXX ${coral_triple}-g++)
mark_as_advanced(CORAL_CLANG CORAL_CLANGXX CORAL_LLD CORAL_STRIP CORAL_GXX)

if(CORAL_SYSROOT AND CORAL_CLANG AND CORAL_CLANGXX AND CORAL_LLD)
  set(CMAKE_SYSROOT "${CORAL_SYSROOT}")
  set(CMAKE_C_COMPILER "${CORAL_CLANG}")
  set(CMAKE_CXX_COMPILER "${CORAL_CLANGXX}")
  set(CMAKE_C_COMPILER_TARGET ${coral_triple})
  set(CMAKE_CXX_COMPILER_TARGET ${coral_triple})
  set(CMAKE_EXE_LINKER_FLAGS_INIT "-fuse-ld=lld")
  set(CMAKE_SHARED_LINKER_FLAGS_INIT "-fuse-ld=lld")
  set(CMAKE_MODULE_LINKER_FLAGS_INIT "-fuse-ld=lld")
  if(CORAL_STRIP)
    set(CMAKE_STRIP "${CORAL_STRIP}")
  endif()
elseif(CORAL_SYSROOT)
  # Taking another compiler, with another C library, would hide the mistake until the program reaches the board.
  message(FATAL_ERROR "CORAL_SYSROOT is set, which needs clang and lld (Debian, Ubuntu: apt install clang lld)")
elseif(CORAL_GXX)
  set(CMAKE_C_COMPILER ${coral_triple}-gcc)
  set(CMAKE_CXX_COMPILER "${CORAL_GXX}")
else()
  message(FATAL_ERROR "No compiler for ${coral_triple}: install g++-${coral_triple}, or clang and lld and set CORAL_SYSROOT")
endif()

# Programs come from this machine, headers and libraries from the sysroot; the Coral package is wherever it was unpacked.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
