//! Connections by place and generation, so that a name that outlived its connection finds nothing.

use crate::conn::{Conn, ConnId};

/// Names below this value are never given to connections.
pub const FIRST_ID: ConnId = 1 << 32;

/// The connections of one worker.
#[derive(Debug, Default)]
pub struct Slab {
    places: Vec<Place>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    conn: Option<Box<Conn>>,
}

impl Slab {
    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts in the connection that `make` returns for its name.
    pub fn insert(&mut self, make: impl FnOnce(ConnId) -> Conn) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 1,
                conn: None,
            });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[index as usize];
        let id = u64::from(place.generation) << 32 | u64::from(index);
        place.conn = Some(Box::new(make(id)));
        self.len += 1;
        id
    }

    /// The connection of that name, if it is still there.
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let place = self.places.get_mut(index(id))?;
        if u64::from(place.generation) != id >> 32 {
            return None;
        }
        place.conn.as_deref_mut()
    }

    /// Takes the connection out; its name will not be given again for 2^31 uses of the place.
    pub fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        self.get_mut(id)?;
        let place = &mut self.places[index(id)];
        // Generations stay below 2^31, so that no name reaches the poller's own tokens, and never become 0.
        place.generation = (place.generation % 0x7fff_ffff) + 1;
        self.free.push(u32::try_from(index(id)).unwrap_or(u32::MAX));
        self.len -= 1;
        place.conn.take()
    }

    /// All names, in no order.
    pub fn ids(&self) -> Vec<ConnId> {
        self.places
            .iter()
            .filter_map(|place| place.conn.as_ref())
            .map(|conn| conn.id)
            .collect()
    }
}

fn index(id: ConnId) -> usize {
    (id & 0xffff_ffff) as usize
}
