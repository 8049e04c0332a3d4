"""A bundle as Debian packages: ``packages`` and ``mapping`` are the tables, ``build`` the way through the others."""
