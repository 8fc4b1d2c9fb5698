//! A spare task, parked until a request comes; and how to tell that a request has left no trace in it.

use pyo3::intern;
use pyo3::prelude::*;

use super::cycle::bind;
use super::runner::Runner;
use super::waiter::Waiter;

/// A parked task.
pub(super) struct Spare {
    pub(super) task: Py<PyAny>,
    pub(super) runner: Py<Runner>,
    pub(super) parking: Py<Waiter>,
    pub(super) looks: Looks,
}

/// The ways to look at a task, found once: to look them up each time costs more than to go them.
pub(super) struct Eyes {
    get_name: Py<PyAny>,
    callbacks: Py<PyAny>,
}

impl Eyes {
    pub(super) fn new(task_type: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = task_type.py();
        Ok(Self {
            get_name: task_type.getattr(intern!(py, "get_name"))?.unbind(),
            callbacks: task_type.getattr(intern!(py, "_callbacks"))?.unbind(),
        })
    }
}

/// What a task looked like before any application saw it, as far as others can change it.
#[derive(Default)]
pub(super) struct Looks {
    is_noted: bool,
    /// `asyncio.all_tasks()` alone had a weak reference to it.
    is_private: bool,
    references: isize,
    first_weak_reference: usize,
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

    /// Whether it is parked, or will be in the loop's next round.
    pub(super) fn is_alive(&self) -> bool {
        self.parking.get().is_pending()
    }

    /// Whether it waits to be woken.
    pub(super) fn is_parked(&self) -> bool {
        self.parking.get().is_awaited()
    }
}

impl Looks {
    /// Remembers what the task looks like, the first time.
    pub(super) fn note(&mut self, py: Python<'_>, eyes: &Eyes, task: &Py<PyAny>) -> PyResult<()> {
        if !self.is_noted {
            self.name = Some(eyes.get_name.call1(py, (task,))?);
            let count = py
                .import(intern!(py, "weakref"))?
                .call_method1(intern!(py, "getweakrefcount"), (task,))?;
            self.is_private = count.extract::<usize>()? == 1;
            self.first_weak_reference = first_weak_reference(task);
            self.references = references(task);
            self.is_noted = true;
        }
        Ok(())
    }

    /// Whether it still looks so: nobody has kept it, named it, put something into it, or asked to be told of its end.
    pub(super) fn is_same(&self, py: Python<'_>, eyes: &Eyes, task: &Py<PyAny>) -> PyResult<bool> {
        if !self.is_private
            || references(task) != self.references
            || first_weak_reference(task) != self.first_weak_reference
            || has_attributes(task)
        {
            return Ok(false);
        }
        let name = eyes.get_name.call1(py, (task,))?;
        Ok(self.name.as_ref().is_some_and(|known| known.is(&name))
            && bind(&eyes.callbacks, task.bind(py))?.is_none())
    }
}

fn references(task: &Py<PyAny>) -> isize {
    // SAFETY: the object is alive.
    unsafe { pyo3::ffi::Py_REFCNT(task.as_ptr()) }
}

/// The address of the first weak reference to the task. Where the only one is that of `asyncio.all_tasks()`, which has a
/// callback, the next one is put before it, whatever its kind (`weakref___new__`).
fn first_weak_reference(task: &Py<PyAny>) -> usize {
    // SAFETY: the type says where in the object the list of weak references is (C API, "tp_weaklistoffset").
    unsafe {
        let offset = (*pyo3::ffi::Py_TYPE(task.as_ptr())).tp_weaklistoffset;
        read_pointer(task, offset)
    }
}

/// Whether somebody has set an attribute of the task's that is not its own.
fn has_attributes(task: &Py<PyAny>) -> bool {
    // SAFETY: the type says where in the object the pointer to its attributes is (C API, "tp_dictoffset"; for a task of
    // 3.11, which is where spares are used, at a fixed place).
    unsafe {
        let offset = (*pyo3::ffi::Py_TYPE(task.as_ptr())).tp_dictoffset;
        read_pointer(task, offset) != 0
    }
}

/// The pointer at `offset` in the task; 0 where the type has no such place.
///
/// # Safety
/// The offset is 0 or less, or one at which the task's type keeps a pointer.
unsafe fn read_pointer(task: &Py<PyAny>, offset: pyo3::ffi::Py_ssize_t) -> usize {
    if offset <= 0 {
        return 0;
    }
    // SAFETY: the object is alive, and the caller knows that there is a pointer.
    unsafe {
        task.as_ptr()
            .byte_offset(offset)
            .cast::<*const u8>()
            .read()
            .addr()
    }
}
