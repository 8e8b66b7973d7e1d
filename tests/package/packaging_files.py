#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Checks the files for vcpkg, Conan and Meson as far as can be without their programs and registries: their syntax, the version, and
that the CMake options, targets and files that they name exist."""
import argparse
import ast
import configparser
import json
import pathlib
import re
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the source tree")
    root = parser.parse_args().root
    packaging = root / "packaging"
    cmake = "".join(path.read_text() for path in [root / "CMakeLists.txt", *root.glob("c/CMakeLists.txt"), *root.glob("cmake/*")])
    version = re.search(r"project\(tslab VERSION (\S+)", cmake).group(1)
    options = set(re.findall(r"option\((\w+)", cmake))
    problems = []

    def expect(condition, problem):
        if not condition:
            problems.append(problem)

    manifest = json.loads((packaging / "vcpkg/ports/tslab/vcpkg.json").read_text())
    expect(manifest["version"] == version, f"vcpkg.json has version {manifest['version']}, not {version}")
    expect(manifest["name"] == (packaging / "vcpkg/ports/tslab").name, "vcpkg.json: the name is not the folder's")
    portfile = (packaging / "vcpkg/ports/tslab/portfile.cmake").read_text()
    features = re.search(r"FEATURES (.*)\)", portfile).group(1).split()[::2]
    expect(set(features) == set(manifest["features"]), "the features of vcpkg.json and portfile.cmake differ")
    up = re.search(r'CMAKE_CURRENT_LIST_DIR}/([./]+)"', portfile).group(1)
    expect((packaging / "vcpkg/ports/tslab" / up).resolve() == root.resolve(), "portfile.cmake: SOURCE_PATH is not the tree's root")

    recipe = (packaging / "conan/conanfile.py").read_text()
    tree = ast.parse(recipe)
    ast.parse((packaging / "conan/test_package/conanfile.py").read_text())
    values = {node.targets[0].id: node.value.value for node in ast.walk(tree) if isinstance(node, ast.Assign)
              and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant)}
    expect((values["name"], values["version"]) == ("tslab", version), f"conanfile.py is not of tslab {version}")
    exported = ast.literal_eval(re.search(r"for pattern in (\(.*?\)):", recipe, re.DOTALL).group(1))
    for pattern in exported:
        expect((root / pattern.removesuffix("/*")).exists(), f"conanfile.py exports {pattern}, which is not there")
    built = re.findall(r"add_subdirectory\((\w+)\)|include\((cmake)/", (root / "CMakeLists.txt").read_text())
    left_out = {"tests", "examples", "perf"}
    for folder in {a or b for a, b in built} - left_out:
        expect(f"{folder}/*" in exported, f"conanfile.py does not export {folder}/, which the build uses")

    wrap = configparser.ConfigParser(interpolation=None)
    wrap.read(packaging / "meson/tslab.wrap")
    expect(wrap["wrap-file"]["directory"] == f"tslab-{version}", f"tslab.wrap is not of {version}")
    expect(wrap["wrap-file"]["source_filename"] == f"tslab-{version}.tar.gz", f"tslab.wrap: the source is not of {version}")
    overlay = packaging / "meson/packagefiles" / wrap["wrap-file"]["patch_directory"]
    meson = (overlay / "meson.build").read_text()
    expect(f"version: '{version}'" in meson, f"meson.build is not of {version}")
    for target in re.findall(r"'--target', '(\w+)'", meson):
        expect(f"add_library({target}" in cmake, f"meson.build builds {target}, which is no target")
    for directory in re.findall(r"include_directories\('([^']+)'\)", meson):
        expect((root / directory).is_dir(), f"meson.build includes {directory}, which is not there")
    for option in re.findall(r"get_option\('(\w+)'\)", meson):
        expect(f"option('{option}'" in (overlay / "meson_options.txt").read_text(), f"meson.build: there is no option {option}")

    named = re.findall(r"TSLAB_(?:BUILD_)?[A-Z]+\b", portfile + meson)
    named += [f"TSLAB_BUILD_{word}" for word in ast.literal_eval(re.search(r"for what in (\(.*?\)):", recipe).group(1))]
    for option in set(named):
        expect(option in options, f"{option} is no option of CMakeLists.txt")
    expect(len(set(named)) >= 5, "hardly any option was found: is this test looking at the right text?")

    print("\n".join(problems) or f"vcpkg, Conan and Meson: version {version}, {len(set(named))} options, {len(exported)} folders and files")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
