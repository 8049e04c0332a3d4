#!/bin/sh
# Packages in the place of Google's, and of each other: from the folders in /doubles.

google libedgetpu1-std 16.0
needs python3-edgetpu 'libedgetpu1-std | libedgetpu1'
needs python3-std 'libedgetpu1-std (>= 15.0)'
for name in libedgetpu1-std libedgetpu1-max libedgetpu1-simulated; do
    cp -a "/doubles/$name" "/tmp/$name"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "/tmp/$name" "/tmp/$name.deb" >/dev/null
done

echo "# Google's"
apt install -y /tmp/libedgetpu1-std_16.0.deb /tmp/python3-edgetpu_1.0.deb
installed libedgetpu1-std
echo "# ours, by the same name"
apt install -y /tmp/libedgetpu1-std.deb /tmp/python3-std_1.0.deb
installed libedgetpu1-std
ls /lib/udev/rules.d/*edgetpu*
verified libedgetpu1-std
apt remove -y python3-std

echo "# the other variant"
apt install -y /tmp/libedgetpu1-max.deb
installed libedgetpu1-max
installed python3-edgetpu
if dpkg -s libedgetpu1-std >/dev/null 2>&1; then echo "std is still known"; fi
verified libedgetpu1-max
dpkg -S /lib/udev/rules.d/70-coral-edgetpu.rules

echo "# the simulated one"
apt install -y --no-remove /tmp/libedgetpu1-simulated.deb || echo "refused beside the other"
dpkg --purge python3-edgetpu libedgetpu1-max
apt install -y /tmp/libedgetpu1-simulated.deb
apt install -y /tmp/python3-edgetpu_1.0.deb || echo "it fulfils no dependency"
