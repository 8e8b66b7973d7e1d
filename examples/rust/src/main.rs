// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
//! A program whose every allocation is tslab's: `cargo run`. It works in phases, on several threads, and says what a phase left.
mod tslab;

use std::collections::HashMap;

#[global_allocator]
static HEAP: tslab::Heap = tslab::Heap::new();

/// An object with an alignment of its own.
#[repr(align(256))]
struct Page([u8; 1000]);

fn work(thread: usize) -> usize {
    let mut words: HashMap<String, Vec<usize>> = HashMap::new();
    for n in 0..10_000 {
        words.entry(format!("word {} of thread {thread}", n % 1_000)).or_default().push(n);
    }
    let pages: Vec<Box<Page>> = (0..100).map(|n| Box::new(Page([n as u8; 1000]))).collect();
    assert!(pages.iter().all(|page| (&**page as *const Page as usize) % 256 == 0));
    words.values().map(Vec::len).sum::<usize>() + pages.iter().map(|page| page.0.len()).sum::<usize>()
}

/// A number of the statistics. A program that looks at more of them uses a parser.
fn figure(json: &str, name: &str) -> u64 {
    let at = json.find(&format!("\"{name}\":")).expect(name) + name.len() + 3;
    json[at..].chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect(name)
}

fn main() {
    let mut all_drained = true;
    HEAP.next_phase();
    for _ in 0..3 {
        let threads: Vec<_> = (0..4).map(|n| std::thread::spawn(move || work(n))).collect();
        let sum: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert_eq!(sum, 4 * (10_000 + 100 * 1_000));
        let report = HEAP.close(HEAP.next_phase());
        all_drained &= report.found && report.closed && report.drained && report.recycled_slabs > 0;
    }
    let json = HEAP.statistics().expect("statistics");
    let (allocations, live) = (figure(&json, "total_allocations"), figure(&json, "live_objects"));
    println!("{allocations} allocations by tslab, {live} objects live; every phase drained: {all_drained}");
    assert!(allocations > 3 * 4 * 10_000 && live < 1_000);
}
