"""Drives Google's edgetpu_compiler: finds it, runs it, reads what it says, and believes none of it unchecked."""
