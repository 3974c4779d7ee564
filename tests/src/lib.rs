//! Test kit; filled below.
