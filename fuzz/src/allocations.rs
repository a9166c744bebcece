//! Counts the bytes that this process allocates, so that a target can limit the cost of an input.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, Ordering},
};

#[global_allocator]
static COUNTED: CountedAllocator = CountedAllocator;

static ALLOCATED: AtomicU64 = AtomicU64::new(0);

/// The allocator of the system, with a count of the bytes that were requested of it.
struct CountedAllocator;

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature; every call is passed on unchanged")]
// SAFETY: `System` fulfils the contract, and the count touches no memory of the caller.
unsafe impl GlobalAlloc for CountedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller fulfils the contract of this function, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Returns the bytes that were allocated since the start of the process.
pub(crate) fn allocated() -> u64 {
    ALLOCATED.load(Ordering::Relaxed)
}
