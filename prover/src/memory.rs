//! Memory that was freed, back to the operating system.

/// Give back what the allocator keeps of freed memory: to record a circuit or to check a key takes as much as
/// proving does, once, and a worker lives for days. Nothing where the allocator is not glibc's.
pub fn give_back() {
	#[cfg(all(target_os = "linux", target_env = "gnu"))]
	// SAFETY: malloc_trim takes any pad, from any thread, and touches no memory that is in use.
	unsafe {
		libc::malloc_trim(0)
	};
}
