//! What the scoreboard's readers are told of its layout.

use std::collections::HashMap;

use pyo3::prelude::*;

use crate::shm::layout;

/// The byte offsets of everything in a block, and its sizes, by name.
#[pyfunction]
pub fn scoreboard_layout() -> HashMap<String, usize> {
    layout().into_iter().collect()
}
