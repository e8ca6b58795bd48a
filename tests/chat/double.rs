//! The double refuses what Discord refuses.
