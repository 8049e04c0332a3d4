"""A whole emulated board: a virtual machine with its own kernel, udev, users and SSH server."""
