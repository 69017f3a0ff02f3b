#!/usr/bin/env python3
"""Runs clang for Emscripten in the container: one source through ccache, several sources in one process.

Emscripten compiles its system libraries (libc has 1139 sources) with many sources per command, and clang's
driver starts a process for each of them. In Debian's clang, dynamic linking costs 0.11 s per process, more than
most of the sources: libc took 105 s on two cores. `clang -cc1` accepts several sources: now libc takes 27 s.

Emscripten runs this script as EM_COMPILER_WRAPPER: `compiler_wrapper.py clang ARGUMENTS`. `clang -cc1` writes
objects next to their sources, so Emscripten's folder of system libraries must be writable.
"""

import os
import shlex
import shutil
import subprocess
import sys

C_ENDINGS = ('.c', '.cc', '.cpp')


def parse_job(words):
    """Splits a cc1 command. Returns the arguments common to all sources, the source and the object."""
    common, source, target = [], None, None
    words = iter(words)
    for word in words:
        if word == '-main-file-name':
            next(words)
        elif word == '-o':
            target = next(words)
        elif word.endswith(C_ENDINGS):
            source = word
        elif word != '-disable-free':  # clang must free the memory of one source before the next one.
            common.append(word)
    return tuple(common), source, target


def compile_together(compiler, args):
    """Compiles all C and C++ sources in `args` in one process. Returns the exit code."""
    plan = subprocess.run([compiler, '-###', *args], stderr=subprocess.PIPE, text=True, check=True)
    batches = {}
    for line in plan.stderr.splitlines():
        if '"-cc1"' in line:
            common, source, target = parse_job(shlex.split(line))
            batches.setdefault(common, []).append((source, target))
    for common, files in batches.items():
        code = subprocess.run([*common, *(source for source, _ in files)]).returncode
        if code != 0:
            return code
        for source, target in files:
            shutil.move(os.path.splitext(source)[0] + '.o', target)
    return 0


def main(compiler, *args):
    sources = [arg for arg in args if arg.endswith((*C_ENDINGS, '.S', '.s'))]
    together = [source for source in sources if source.endswith(C_ENDINGS)]
    if '-c' not in args or '-o' in args or len(together) < 2:
        os.execvp('ccache', ['ccache', compiler, *args])
    others = [source for source in sources if source not in together]
    options = [arg for arg in args if arg not in sources]
    code = compile_together(compiler, [*options, *together])
    if code == 0 and others:
        code = subprocess.run([compiler, *options, *others]).returncode
    return code


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
