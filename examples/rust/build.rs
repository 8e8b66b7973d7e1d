// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Links libtslab.so: from TSLAB_LIB_DIR if it is set, else where pkg-config finds it.
use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-env-changed=TSLAB_LIB_DIR");
    let directory = env::var("TSLAB_LIB_DIR").ok().or_else(|| {
        let answer = Command::new("pkg-config").args(["--variable=libdir", "tslab"]).output().ok()?;
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim().to_string())
    });
    if let Some(directory) = directory {
        println!("cargo:rustc-link-search=native={directory}");
    }
    println!("cargo:rustc-link-lib=dylib=tslab");
}
