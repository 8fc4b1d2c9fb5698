//! Names of streams, which applications' answers find their way by, as they do by the names of connections.
//!
//! A stream belongs to its connection, and is no entry of the worker's slab. Its name says where it is. One that is gone
//! while the application still works for it leaves its name behind, which finds nothing any more, until that work is over:
//! a client that gives up its requests must not have more of them worked on at once than one that does not.

use super::ConnId;

/// Set in the names of streams, and never in those of connections or in a poller's tokens below the reserved ones.
pub const STREAM: ConnId = 1 << 63;

/// The names of one worker's streams.
#[derive(Debug, Default)]
pub struct Names {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// The connection, and the stream's number there.
    Open(ConnId, u32),
    /// The connection of a stream that is gone.
    Lost(ConnId),
}

impl Names {
    /// Gives a name.
    pub(super) fn insert(&mut self, parent: ConnId, number: u32) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 1,
                state: State::Free,
            });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[index as usize];
        place.state = State::Open(parent, number);
        STREAM | u64::from(place.generation) << 32 | u64::from(index)
    }

    /// The connection and the number of a stream, if that is still there.
    #[must_use]
    pub fn find(&self, id: ConnId) -> Option<(ConnId, u32)> {
        let place = self.places.get(index(id))?;
        match place.state {
            State::Open(parent, number) if generation(id) == place.generation => {
                Some((parent, number))
            }
            _ => None,
        }
    }

    /// The stream is gone. `lingers` keeps the name until `bury`.
    pub(super) fn remove(&mut self, id: ConnId, lingers: bool) {
        let Some((parent, _)) = self.find(id) else {
            return;
        };
        if lingers {
            self.places[index(id)].state = State::Lost(parent);
        } else {
            self.free(index(id));
        }
    }

    /// The work for a stream is over. Returns its connection if the stream was gone before.
    pub fn bury(&mut self, id: ConnId) -> Option<ConnId> {
        let place = self.places.get(index(id))?;
        match place.state {
            State::Lost(parent) if generation(id) == place.generation => {
                self.free(index(id));
                Some(parent)
            }
            _ => None,
        }
    }

    fn free(&mut self, index: usize) {
        let place = &mut self.places[index];
        // Never 0, and below the bit that marks streams.
        place.generation = (place.generation % 0x7fff_ffff) + 1;
        place.state = State::Free;
        self.free.push(u32::try_from(index).unwrap_or(u32::MAX));
    }
}

fn index(id: ConnId) -> usize {
    (id & 0xffff_ffff) as usize
}

fn generation(id: ConnId) -> u32 {
    (id >> 32) as u32 & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_outlived_its_stream_finds_nothing() {
        let mut names = Names::default();
        let first = names.insert(7, 1);
        assert_eq!(names.find(first), Some((7, 1)));
        names.remove(first, false);
        let second = names.insert(7, 3);
        assert_eq!(index(first), index(second));
        assert_eq!(
            (names.find(first), names.find(second)),
            (None, Some((7, 3)))
        );
    }

    #[test]
    fn lost_stream_is_buried_once_and_only_then_is_its_place_free() {
        let mut names = Names::default();
        let lost = names.insert(7, 1);
        names.remove(lost, true);
        assert_eq!(names.find(lost), None);
        let other = names.insert(7, 3);
        assert_ne!(index(lost), index(other));
        assert_eq!(names.bury(other), None);
        assert_eq!(names.bury(lost), Some(7));
        assert_eq!(names.bury(lost), None);
    }
}
