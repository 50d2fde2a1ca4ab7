#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""IDEA by Botan, for tests: the programs have theirs from libgcrypt, so the two can be compared.

Reads lines `encipher KEY BYTES` or `decipher KEY BYTES`, key and bytes in hex, whole blocks of 8
bytes; answers each with a line of the result in hex. Ends with its input.
"""
import sys

import botan2

for line in sys.stdin:
    verb, key, *data = line.split()
    cipher = botan2.BlockCipher("IDEA")
    cipher.set_key(bytes.fromhex(key))
    work = {"encipher": cipher.encrypt, "decipher": cipher.decrypt}[verb]
    print(bytes(work(bytes.fromhex("".join(data)))).hex(), flush=True)
