//! A spare task, parked until a request comes; and how to tell that a request has left no trace in it.

use pyo3::intern;
use pyo3::prelude::*;

use super::runner::Runner;
use super::waiter::Waiter;

/// A parked task.
pub(super) struct Spare {
    pub(super) task: Py<PyAny>,
    pub(super) runner: Py<Runner>,
    pub(super) parking: Py<Waiter>,
    pub(super) looks: Looks,
}

/// Functions that tell what a task looks like.
pub(super) struct Watcher {
    count_weak_references: Py<PyAny>,
    get_name: Py<PyAny>,
}

impl Watcher {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        let task_type = py.import("asyncio")?.getattr("Task")?;
        Ok(Self {
            count_weak_references: py.import("weakref")?.getattr("getweakrefcount")?.unbind(),
            get_name: task_type.getattr("get_name")?.unbind(),
        })
    }
}

/// What a task looked like before any application saw it, as far as others can change it.
#[derive(Default)]
pub(super) struct Looks {
    is_noted: bool,
    references: isize,
    weak_references: usize,
    name: Option<Py<PyAny>>,
}

impl Spare {
    pub(super) fn new(task: &Bound<'_, PyAny>, runner: Py<Runner>, parking: Py<Waiter>) -> Self {
        Self {
            task: task.clone().unbind(),
            runner,
            parking,
            looks: Looks::default(),
        }
    }

    /// Whether it waits to be woken.
    pub(super) fn is_parked(&self) -> bool {
        self.parking.get().is_awaited()
    }
}

impl Looks {
    /// Remembers what the task looks like, the first time.
    pub(super) fn note(
        &mut self,
        py: Python<'_>,
        watcher: &Watcher,
        task: &Py<PyAny>,
    ) -> PyResult<()> {
        if !self.is_noted {
            self.name = Some(watcher.get_name.call1(py, (task,))?);
            self.weak_references = watcher
                .count_weak_references
                .call1(py, (task,))?
                .extract(py)?;
            self.references = references(task);
            self.is_noted = true;
        }
        Ok(())
    }

    /// Whether it still looks so: nobody has kept it, named it, put something into it, or asked to be told of its end.
    pub(super) fn is_same(
        &self,
        py: Python<'_>,
        watcher: &Watcher,
        task: &Py<PyAny>,
    ) -> PyResult<bool> {
        if references(task) != self.references || has_attributes(task) {
            return Ok(false);
        }
        let name = watcher.get_name.call1(py, (task,))?;
        let weak_references: usize = watcher
            .count_weak_references
            .call1(py, (task,))?
            .extract(py)?;
        Ok(self.name.as_ref().is_some_and(|known| known.is(&name))
            && weak_references == self.weak_references
            && task.bind(py).getattr(intern!(py, "_callbacks"))?.is_none())
    }
}

fn references(task: &Py<PyAny>) -> isize {
    // SAFETY: the object is alive.
    unsafe { pyo3::ffi::Py_REFCNT(task.as_ptr()) }
}

/// Whether somebody has set an attribute of the task's that is not its own.
fn has_attributes(task: &Py<PyAny>) -> bool {
    // SAFETY: the object is alive, and its type says where in it the pointer to its attributes is (C API,
    // "tp_dictoffset"; for a task of 3.11, which is where spares are used, at a fixed place).
    unsafe {
        let offset = (*pyo3::ffi::Py_TYPE(task.as_ptr())).tp_dictoffset;
        offset > 0 && {
            let place = task.as_ptr().byte_offset(offset);
            !place.cast::<*mut pyo3::ffi::PyObject>().read().is_null()
        }
    }
}
