//! What happens to tasks whose deadlines have passed, and how code that runs for one finds it.

use pyo3::intern;
use pyo3::prelude::*;

use crate::python::deadline::tell;
use crate::time::Millis;

use super::http::HttpCycle;
use super::shared::AsgiShared;
use super::websocket::WebSocketCycle;

/// Sets the deadline of the exchange that a task's variable leads to.
pub(in crate::python) fn set_task_deadline(
    exchange: &Bound<'_, PyAny>,
    due: Millis,
) -> PyResult<()> {
    if let Ok(cycle) = exchange.cast::<HttpCycle>() {
        return cycle.get().set_deadline(due);
    }
    exchange.cast::<WebSocketCycle>()?.get().set_deadline(due)
}

/// Writes down where late tasks are, and cancels them. In the loop's thread, at the top of the loop.
pub(super) fn cancel_late(py: Python<'_>, asgi: &AsgiShared) -> PyResult<()> {
    for late in asgi.core.deadlines.take_calls() {
        if !late.stint.is_expired(late.number) {
            continue;
        }
        if let Some(task) = asgi.tasks.find(py, late.stint.key()) {
            let task = task.bind(py);
            tell(py, &asgi.core, &late, 0, Some(task));
            task.call_method1(
                intern!(py, "cancel"),
                (intern!(py, "the deadline of the request has passed"),),
            )?;
        }
    }
    Ok(())
}
