// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
//! A heap of tslab as Rust's global allocator, over the C interface <tslab/tslab.h>. Its epochs are phases of the program: what is
//! allocated between two calls of `next_phase` has pages of its own, which are empty together once all of it is dropped.
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

/// `tslab_epoch`: a slot of the ring, and the era that tells its uses apart.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    pub index: u32,
    pub era: u64,
}

/// `tslab_close_report` up to the field that is used here; the library fills in as much as it is told there is.
#[repr(C)]
#[derive(Debug)]
pub struct CloseReport {
    pub epoch: Epoch,
    pub found: bool,
    pub closed: bool,
    pub drained: bool,
    pub scanned_slabs: u64,
    pub recycled_slabs: u64,
}

#[repr(C)]
struct Failure {
    status: c_int,
    text: [c_char; 252],
}

extern "C" {
    fn tslab_heap_create_abi(abi: c_uint, version: *const c_char, options: *const c_void, size: usize, why: *mut Failure) -> *mut c_void;
    fn tslab_heap_destroy(heap: *mut c_void);
    fn tslab_malloc(heap: *mut c_void, bytes: usize) -> *mut c_void;
    fn tslab_aligned_malloc_in(heap: *mut c_void, alignment: usize, bytes: usize, e: Epoch, why: *mut c_int) -> *mut c_void;
    fn tslab_free(heap: *mut c_void, pointer: *mut c_void);
    fn tslab_epoch_current(heap: *const c_void) -> Epoch;
    fn tslab_epoch_advance(heap: *mut c_void) -> Epoch;
    fn tslab_epoch_close(heap: *mut c_void, e: Epoch, report: *mut CloseReport, size: usize) -> bool;
    fn tslab_snapshot_take(heap: *const c_void, residency: bool) -> *mut c_void;
    fn tslab_snapshot_json(snapshot: *const c_void, out: *mut c_char, size: usize) -> usize;
    fn tslab_snapshot_free(snapshot: *mut c_void);
}

/// The ABI and the version of the declarations above: a library with another ABI refuses to make a heap.
const ABI: c_uint = 0;
const VERSION: *const c_char = b"0.1.0\0".as_ptr().cast();
/// What tslab_malloc aligns to.
const FUNDAMENTAL: usize = 16;
const REFUSED_CLOSED: c_int = 1;

/// A heap that is made at the first allocation and never ends. For a static with `#[global_allocator]`.
pub struct Heap {
    heap: AtomicPtr<c_void>,
}

impl Heap {
    pub const fn new() -> Self {
        Self { heap: AtomicPtr::new(null_mut()) }
    }

    /// The heap; null if it cannot be made. Threads that come first at the same time make one each, and one of them stays.
    fn get(&self) -> *mut c_void {
        let made = self.heap.load(Ordering::Acquire);
        if made.is_null() {
            self.make()
        } else {
            made
        }
    }

    #[cold]
    fn make(&self) -> *mut c_void {
        unsafe {
            let new = tslab_heap_create_abi(ABI, VERSION, null(), 0, null_mut());
            if new.is_null() {
                return new;
            }
            match self.heap.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => new,
                Err(first) => {
                    tslab_heap_destroy(new);
                    first
                }
            }
        }
    }

    /// Begins a phase and returns the one that ends, for `close`.
    pub fn next_phase(&self) -> Epoch {
        unsafe {
            let ended = tslab_epoch_current(self.get());
            tslab_epoch_advance(self.get());
            ended
        }
    }

    /// Reclaims the empty pages of a phase, whichever threads used them. What lives on stays valid.
    pub fn close(&self, phase: Epoch) -> CloseReport {
        let mut report = CloseReport { epoch: phase, found: false, closed: false, drained: false, scanned_slabs: 0, recycled_slabs: 0 };
        unsafe { tslab_epoch_close(self.get(), phase, &mut report, std::mem::size_of::<CloseReport>()) };
        report
    }

    /// A snapshot of the statistics, as JSON.
    pub fn statistics(&self) -> Option<String> {
        unsafe {
            let snapshot = tslab_snapshot_take(self.get(), false);
            if snapshot.is_null() {
                return None;
            }
            let mut text = vec![0u8; tslab_snapshot_json(snapshot, null_mut(), 0) + 1];
            tslab_snapshot_json(snapshot, text.as_mut_ptr().cast(), text.len());
            tslab_snapshot_free(snapshot);
            text.pop();
            String::from_utf8(text).ok()
        }
    }
}

unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let heap = self.get();
        if heap.is_null() {
            return null_mut();
        }
        if layout.align() <= FUNDAMENTAL {
            return tslab_malloc(heap, layout.size()).cast();
        }
        loop {
            let mut why: c_int = 0;
            let now = tslab_epoch_current(heap);
            let pointer = tslab_aligned_malloc_in(heap, layout.align(), layout.size(), now, &mut why);
            if !pointer.is_null() || why != REFUSED_CLOSED {
                return pointer.cast();
            }
            // Another thread began a phase meanwhile.
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        tslab_free(self.get(), pointer.cast());
    }
}
