#!/bin/sh
# The packages in /debs from their first day to their last. Arguments: their names.

mkdir /tmp/old
for deb in /debs/*.deb; do older "$deb" "/tmp/old/${deb##*/}"; done
echo "# install"
apt install -y /tmp/old/*.deb
for name; do installed "$name"; done
cd /tmp || exit
CORALFORGE_SIMULATED_DEVICES=usb:1 lstpu

echo "# upgrade"
apt install -y /debs/*.deb
for name; do installed "$name"; done
verified "$@"
ldconfig -p | grep 'libedgetpu.so.1 '
coral-smoke | tail -n 1
for command in lstpu coral-model coral-detect coral-benchmark; do
    $command --help >/dev/null || echo "$command --help failed"
done

echo "# remove"
apt remove -y "$@"
if [ -e /usr/bin/lstpu ]; then echo "it is still there"; fi
ldconfig -p | grep 'libedgetpu.so.1 ' || echo "the loader knows it no longer"

echo "# purge"
dpkg --purge "$@"
for name; do
    if dpkg -s "$name" >/dev/null 2>&1; then echo "$name is still known"; fi
done
echo "# left:"
find / -xdev \( -name '*edgetpu*' -o -name '*coralforge*' -o -name '*tensorflowlite*' \) \
    -not -path '/proc/*' -not -path '/debs*' -not -path '/tmp/*' -not -path '/var/log/*'
