//! Invariant: whatever a client sends, in whatever order with what the application answers and with the time that passes,
//! what comes back keeps to RFC 9113: within all windows and frame sizes, nothing for streams that are idle or closed, header
//! blocks that can be decoded. What is held is bounded; no deadline passes without effect. In the end the connection has been
//! told to go, or serves one more request; and nothing is left of it when it is closed.
#![no_main]

mod client;
mod server;

use std::os::unix::net::UnixStream;

use client::Client;
use hostler_engine::codec::http2::{
    Code, HeaderEncoder, PREFACE, write_data_header, write_headers, write_ping, write_ping_ack,
    write_reset, write_window,
};
use hostler_engine::conn::Phase;
use libfuzzer_sys::fuzz_target;
use server::Server;

/// Actions in one run.
const MOST: usize = 300;

/// A head that refers to no table but the static one: GET, http, /, and the authority "a".
const PLAIN: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'a'];

/// The rest of the input.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A byte, or 0 at the end.
    fn number(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn word(&mut self) -> usize {
        usize::from(self.number()) << 8 | usize::from(self.number())
    }

    fn long(&mut self) -> u32 {
        u32::from_be_bytes([self.number(), self.number(), self.number(), self.number()])
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct Play<'a> {
    script: Script<'a>,
    client: Client,
    server: Server,
    encoder: HeaderEncoder,
    pings: u64,
    /// A client that ends, or time that passes, may end the connection without a word.
    may_end: bool,
}

impl Play<'_> {
    /// A stream that was opened, one of the latest, or the connection itself.
    fn stream(&self, choice: u8) -> u32 {
        match choice {
            15 => 0,
            14 => self.client.last.saturating_add(2),
            choice => self.client.last.saturating_sub(2 * u32::from(choice)),
        }
    }

    fn act(&mut self, action: u8) {
        let choice = action >> 4;
        match action & 15 {
            0 => self.ask(choice),
            1 => self.send_data(choice),
            2 => {
                let mut frame = Vec::new();
                let increment = self.script.long() >> self.script.number() % 32;
                write_window(&mut frame, self.stream(choice), increment & 0x7fff_ffff);
                self.client.send(&frame);
            }
            3 => {
                let mut frame = Vec::new();
                write_reset(&mut frame, self.stream(choice), Code::Cancel);
                self.client.send(&frame);
            }
            4 => self.send_settings(choice),
            5 => {
                let mut frame = Vec::new();
                if choice == 15 {
                    write_ping_ack(&mut frame, *b"leaving\0");
                } else {
                    self.pings += 1;
                    write_ping(&mut frame, self.pings.to_be_bytes());
                }
                self.client.send(&frame);
            }
            6 => {
                let (kind, flags, length) = (
                    self.script.number(),
                    self.script.number(),
                    self.script.number(),
                );
                let stream = self.stream(choice).to_be_bytes();
                let payload = self.script.bytes(usize::from(length));
                let length = u8::try_from(payload.len()).unwrap();
                let header = [&[0, 0, length, kind, flags][..], &stream].concat();
                self.client.send(&[&header, payload].concat());
            }
            7 => {
                let bytes = self.script.bytes(usize::from(choice) + 1);
                self.client.send(bytes);
            }
            8 => {
                let mut block = Vec::new();
                self.encoder.begin(&mut block);
                self.encoder.field(&mut block, b"checksum", b"7");
                let mut frame = Vec::new();
                write_headers(&mut frame, self.stream(choice), &block, 16_384, true);
                self.client.send(&frame);
            }
            9 if choice == 0 => {
                self.client.read(usize::MAX);
            }
            9 => {
                self.client.read(usize::from(choice) * 2_000);
            }
            10 => {
                let (form, size) = (self.script.number(), self.script.word());
                if let Some(place) = self.server.pick(choice) {
                    self.server.send(place, form, size);
                }
            }
            11 => {
                if let Some(place) = self.server.pick(choice & 7) {
                    self.server.answer(place, true, choice & 8 != 0);
                }
            }
            12 => {
                let limit = self.script.word();
                if let Some(place) = self.server.pick(choice) {
                    self.server.take(place, limit);
                }
            }
            13 => {
                self.may_end = true;
                self.server.wait(self.script.word() as u64 % 3_000);
            }
            14 => self.act_rarely(choice),
            _ => {
                self.server.take_request();
            }
        }
    }

    fn act_rarely(&mut self, choice: u8) {
        let place = self.script.number();
        match choice {
            0 => {
                self.may_end = true;
                self.server.drain();
            }
            1 => {
                self.may_end = true;
                self.client.end();
            }
            2 => {
                self.may_end = true;
                self.client.leave();
                self.server.lose();
            }
            _ => {
                let Some(place) = self.server.pick(place) else {
                    return;
                };
                match choice {
                    3 | 4 => self.server.refuse(place),
                    5 | 6 => self.server.abort(place),
                    7 | 8 => self.server.overrule(place),
                    9 => self.server.answer(place, false, false),
                    _ => self.server.open_websocket(place),
                }
            }
        }
    }

    fn ask(&mut self, choice: u8) {
        let flags = self.script.number();
        let (is_websocket, is_broken) = (flags & 4 != 0, flags & 32 != 0);
        let number = match choice {
            15 => self.client.last.saturating_add(2_000),
            14 => self.client.last.saturating_add(1),
            _ if self.client.last == 0 => 1,
            _ => self.client.last.saturating_add(2),
        };
        let length = self.script.word();
        let mut fields: Vec<(&str, String)> = vec![
            (
                ":method",
                match (is_websocket, flags & 64 != 0) {
                    (true, _) => "CONNECT",
                    (_, true) => "HEAD",
                    _ => "POST",
                }
                .into(),
            ),
            (":scheme", "http".into()),
            (":path", "/x".into()),
            (":authority", "a".into()),
        ];
        if is_websocket {
            fields.insert(1, (":protocol", "websocket".into()));
        }
        if flags & 2 != 0 {
            fields.push(("content-length", length.to_string()));
        }
        if flags & 8 != 0 {
            fields.push(("expect", "100-continue".into()));
        }
        if flags & 16 != 0 {
            fields.push(("priority", format!("u={}", length % 8)));
        }
        if is_broken {
            fields.push(("x-long", "x".repeat(length)));
        }
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in fields {
            self.encoder
                .field(&mut block, name.as_bytes(), value.as_bytes());
        }
        let pieces = if flags & 128 != 0 { 100 } else { 16_384 };
        let mut frames = Vec::new();
        write_headers(
            &mut frames,
            number & 0x7fff_ffff,
            &block,
            pieces,
            flags & 1 != 0,
        );
        self.client.send(&frames);
    }

    fn send_data(&mut self, choice: u8) {
        let (flags, length) = (self.script.number(), self.script.word() % 16_385);
        let mut frame = Vec::new();
        write_data_header(&mut frame, self.stream(choice), length, flags & 1 != 0);
        // A small message of a WebSocket again and again: masked with zeros, of three bytes.
        let message = [0x82, 0x83, 0, 0, 0, 0, b'a', b'b', b'c'];
        frame.extend(message.iter().cycle().take(length));
        self.client.send(&frame);
    }

    fn send_settings(&mut self, choice: u8) {
        let mut payload = Vec::new();
        let mut set = |id: u8, value: u32| {
            payload.extend([0, id]);
            payload.extend(value.to_be_bytes());
        };
        if choice & 1 != 0 {
            set(4, self.script.long() >> self.script.number() % 32);
        }
        if choice & 2 != 0 {
            set(5, 16_384 + self.script.word() as u32);
        }
        if choice & 4 != 0 {
            set(1, self.script.word() as u32);
        }
        let length = u8::try_from(payload.len()).unwrap();
        let header = [0, 0, length, 4, 0, 0, 0, 0, 0];
        self.client.send(&[&header[..], &payload].concat());
    }

    fn turn(&mut self) {
        self.client.push();
        self.server.turn(self.client.has_ended);
    }

    /// Has both sides go on until nothing moves any more.
    fn rest(&mut self) {
        let mut quiet = 0;
        while quiet < 3 {
            self.turn();
            quiet = if self.client.read(usize::MAX) {
                0
            } else {
                quiet + 1
            };
        }
    }

    /// In the end the connection has been told to go, or serves one more request.
    fn conclude(mut self) {
        self.server.abort_all();
        self.rest();
        let is_served = match &self.server.conn {
            None => {
                assert!(
                    self.may_end || self.client.goaway.is_some(),
                    "closed without a word"
                );
                false
            }
            Some(conn) => conn.phase() == Phase::Http2,
        };
        if is_served
            && !self.client.has_ended
            && self.client.goaway.is_none()
            && self.client.is_between_frames()
            && self.client.last < 0x7fff_0000
        {
            self.ask_once_more();
        }
        self.server.finish();
    }

    fn ask_once_more(&mut self) {
        for stream in self.client.open_streams() {
            let mut frame = Vec::new();
            write_reset(&mut frame, stream, Code::Cancel);
            self.client.send(&frame);
        }
        self.rest();
        self.server.abort_all();
        let mut frames = Vec::new();
        let window = self.client.window();
        if window < 1_000 {
            let more = u32::try_from(1_000 - window).unwrap();
            write_window(&mut frames, 0, more);
        }
        frames.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0xff, 0xff]);
        let number = self.client.last + 2 - (self.client.last + 1) % 2;
        write_headers(&mut frames, number, PLAIN, 16_384, true);
        self.client.send(&frames);
        self.rest();
        if self.client.goaway.is_none() {
            assert!(self.server.take_request(), "a request does not arrive");
            self.server.answer_last();
            self.rest();
            assert!(self.client.is_answered(number), "there is no answer");
        }
    }
}

// Input: how bodies are read, then actions.
fuzz_target!(|data: &[u8]| {
    let mut script = Script(data);
    let Some(flags) = script.byte() else {
        return;
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut play = Play {
        script,
        client: Client::new(theirs),
        server: Server::new(ours, flags & 1 != 0),
        encoder: HeaderEncoder::default(),
        pings: 0,
        may_end: false,
    };
    play.client.send_preface(PREFACE);
    play.client.send(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    play.turn();
    for _ in 0..MOST {
        let Some(action) = play.script.byte() else {
            break;
        };
        play.act(action);
        // What is sent together may arrive together.
        if flags & 2 == 0 || action & 7 == 1 {
            play.turn();
        }
    }
    play.conclude();
});
