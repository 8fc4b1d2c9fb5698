//! A connection and a client that speaks raw frames, without a worker or an application.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use crate::codec::http2::Code;
use crate::codec::http2::{
    HeaderDecoder, HeaderEncoder, PREFACE, write_data_header, write_headers, write_ping,
    write_reset, write_window,
};
use crate::conn::tests::{conn, context};
use crate::conn::{Body, Conn, Context, Part, Payload, Phase, Request, Verdict};

const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A frame as a client reads it.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Pair {
    conn: Conn,
    theirs: UnixStream,
    context: Context,
    encoder: HeaderEncoder,
    decoder: HeaderDecoder,
    received: Vec<u8>,
    verdict: Verdict,
}

impl Pair {
    fn open() -> Self {
        Self::open_in(context())
    }

    fn open_in(context: Context) -> Self {
        let mut pair = Self::fresh(context);
        pair.send(&[PREFACE, &SETTINGS].concat());
        let kinds: Vec<u8> = pair.frames().iter().map(|frame| frame.kind).collect();
        // Ours, the connection's window, and the answer to theirs.
        assert_eq!(kinds, [4, 8, 4]);
        pair
    }

    fn fresh(context: Context) -> Self {
        let (conn, theirs) = conn(&context);
        theirs.set_nonblocking(true).unwrap();
        Self {
            conn,
            theirs,
            context,
            encoder: HeaderEncoder::default(),
            decoder: HeaderDecoder::default(),
            received: Vec::new(),
            verdict: Verdict::Keep,
        }
    }

    /// What the worker does after each event.
    fn settle(&mut self) {
        for _ in 0..20 {
            while self.conn.take_unfinished() && self.verdict == Verdict::Keep {
                self.verdict = self.conn.proceed(&mut self.context);
            }
            let outgoing = std::mem::take(&mut self.context.outgoing);
            if outgoing.is_empty() || self.verdict == Verdict::Close {
                return;
            }
            for (_, number) in outgoing {
                self.conn.enqueue_stream(number);
            }
            self.verdict = self.conn.proceed(&mut self.context);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.theirs.write_all(bytes).unwrap();
        self.conn.note_readiness(true, false);
        if self.verdict == Verdict::Keep {
            self.verdict = self.conn.pump(&mut self.context);
        }
        self.settle();
    }

    fn request_frame(&mut self, stream: u32, more: &[(&str, &str)], end_stream: bool) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        let base = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/x"),
            (":authority", "a"),
        ];
        for (name, value) in base.iter().chain(more) {
            self.encoder
                .field(&mut block, name.as_bytes(), value.as_bytes());
        }
        let mut frame = Vec::new();
        write_headers(&mut frame, stream, &block, 16_384, end_stream);
        frame
    }

    fn ask(&mut self, stream: u32) {
        let frame = self.request_frame(stream, &[], true);
        self.send(&frame);
    }

    fn next_request(&mut self) -> Box<Request> {
        self.context.ready.pop_front().unwrap()
    }

    fn stream(&mut self, request: &Request) -> &mut Conn {
        let (_, number) = self.context.names.find(request.conn).unwrap();
        self.conn.stream_mut(number).unwrap()
    }

    fn answer(&mut self, request: Box<Request>, bytes: &[u8], part: Option<Part>) {
        let (_, number) = self.context.names.find(request.conn).unwrap();
        let stream = self.conn.stream_mut(number).unwrap();
        assert_eq!(stream.send(bytes, part, &mut self.context), Verdict::Keep);
        assert_eq!(
            stream.answer(request, true, &mut self.context),
            Verdict::Keep
        );
        self.settle();
    }

    fn frames(&mut self) -> Vec<Frame> {
        let mut more = vec![0; 65_536];
        loop {
            match self.theirs.read(&mut more) {
                Ok(0) => break,
                Ok(count) => {
                    self.received.extend_from_slice(&more[..count]);
                    if self.verdict == Verdict::Keep {
                        self.verdict = self.conn.proceed(&mut self.context);
                        self.settle();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let mut frames = Vec::new();
        while let Some(head) = self.received.first_chunk::<9>().copied() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if self.received.len() < 9 + length {
                break;
            }
            let payload = self.received[9..9 + length].to_vec();
            self.received.drain(..9 + length);
            frames.push(Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload,
            });
        }
        frames
    }

    fn headers(&mut self, frame: &Frame) -> Vec<String> {
        assert_eq!(frame.kind, 1);
        let mut fields = Vec::new();
        self.decoder
            .decode(&frame.payload, |name, value| {
                fields.push(format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
            })
            .unwrap();
        fields
    }

    /// The code of the GOAWAY frame that came, if one did.
    fn goaway(&mut self) -> Option<u32> {
        self.frames()
            .iter()
            .rfind(|frame| frame.kind == 7)
            .map(|frame| u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";

struct Owned(Vec<u8>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Payload for Owned {}

fn large(size: usize) -> Part {
    Part::Shared(Box::new(Owned(vec![b'x'; size])))
}

fn data_frame(stream: u32, data: &[u8], end_stream: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    write_data_header(&mut frame, stream, data.len(), end_stream);
    frame.extend_from_slice(data);
    frame
}

fn window(stream: u32, increment: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    write_window(&mut frame, stream, increment);
    frame
}

fn reset(stream: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    write_reset(&mut frame, stream, Code::Cancel);
    frame
}

#[test]
fn requests_of_one_connection_are_answered_in_any_order() {
    let mut pair = Pair::open();
    pair.ask(1);
    pair.ask(3);
    let (first, second) = (pair.next_request(), pair.next_request());
    assert_eq!(second.head.path.of(&second.bytes), b"/x");
    pair.answer(second, &[OK, b"2"].concat(), None);
    pair.answer(first, OK, None);
    let frames = pair.frames();
    let told: Vec<_> = frames
        .iter()
        .map(|frame| (frame.kind, frame.flags, frame.stream))
        .collect();
    // Without a body the head ends the stream.
    assert_eq!(told, [(1, 4, 3), (0, 1, 3), (1, 5, 1)]);
    assert_eq!(pair.headers(&frames[0]), [":status: 200", "a: b"]);
    assert_eq!(pair.headers(&frames[2]), [":status: 200", "a: b"]);
    assert_eq!(pair.context.finished, 2);
    assert!(pair.context.names.find(0).is_none());
}

#[test]
fn requests_are_the_same_however_their_bytes_are_split() {
    for size in [1, 3, 8, 1_000] {
        let mut pair = Pair::fresh(context());
        let head = pair.request_frame(1, &[("content-length", "4")], false);
        let second = pair.request_frame(3, &[], true);
        let bytes = [
            PREFACE,
            &SETTINGS,
            &head,
            &data_frame(1, b"bo", false),
            &data_frame(1, b"dy", true),
            &second,
        ]
        .concat();
        for piece in bytes.chunks(size) {
            pair.send(piece);
        }
        let request = pair.next_request();
        assert!(matches!(&request.body, Body::Memory(body) if body == b"body"));
        assert!(matches!(pair.next_request().body, Body::Empty));
    }
}

#[test]
fn body_that_is_not_as_long_as_declared_is_malformed() {
    for (data, end) in [(&b"abc"[..], true), (b"abcde", false)] {
        let mut pair = Pair::open();
        let head = pair.request_frame(1, &[("content-length", "4")], false);
        pair.send(&[head, data_frame(1, data, end)].concat());
        assert!(pair.context.ready.is_empty());
        let frames = pair.frames();
        assert_eq!(
            (frames[0].kind, &frames[0].payload[..]),
            (3, &[0, 0, 0, 1][..])
        );
    }
}

#[test]
fn body_beyond_the_limit_is_refused_and_the_connection_goes_on() {
    let mut context = context();
    context.settings.limits.body_size = 10;
    let mut pair = Pair::open_in(context);
    let head = pair.request_frame(1, &[], false);
    pair.send(&[head, data_frame(1, &[0; 11], false)].concat());
    let frames = pair.frames();
    assert_eq!(pair.headers(&frames[0])[0], ":status: 413");
    // The rest is not wanted.
    assert_eq!(
        (frames[2].kind, &frames[2].payload[..]),
        (3, &[0, 0, 0, 0][..])
    );
    pair.send(&data_frame(1, &[0; 100], true));
    pair.ask(3);
    pair.next_request();
}

#[test]
fn refused_heads_are_answered_and_malformed_ones_reset() {
    let mut pair = Pair::open();
    let head = pair.request_frame(1, &[("expect", "nonsense")], true);
    pair.send(&head);
    let frames = pair.frames();
    assert_eq!(pair.headers(&frames[0])[0], ":status: 417");
    let head = pair.request_frame(3, &[("connection", "close")], true);
    pair.send(&head);
    let frames = pair.frames();
    assert_eq!((frames[0].kind, frames[0].stream), (3, 3));
}

#[test]
fn large_answers_wait_for_windows_and_streams_take_turns() {
    let mut pair = Pair::open();
    for stream in [1, 3] {
        pair.ask(stream);
        let request = pair.next_request();
        pair.answer(request, OK, Some(large(100_000)));
    }
    let frames = pair.frames();
    let order: Vec<u32> = frames
        .iter()
        .filter(|frame| frame.kind == 0)
        .map(|frame| frame.stream)
        .collect();
    let sent: usize = frames
        .iter()
        .filter(|frame| frame.kind == 0)
        .map(|frame| frame.payload.len())
        .sum();
    // The first had a window's worth before the second was asked for; the connection's window is that large.
    assert_eq!(
        (sent, order.iter().all(|stream| *stream == 1)),
        (65_535, true)
    );
    // The stream's own window is used up, so that only the other may go on.
    pair.send(&window(0, 200_000));
    let frames = pair.frames();
    assert!(
        frames
            .iter()
            .all(|frame| frame.stream == 3 && (frame.kind == 0 || frame.kind == 1))
    );
    pair.send(&[window(3, 200_000), window(1, 200_000)].concat());
    let frames = pair.frames();
    let order: Vec<u32> = frames.iter().map(|frame| frame.stream).collect();
    assert_eq!(order[..4], [3, 1, 3, 1]);
    assert_eq!(
        frames.iter().filter(|frame| frame.flags & 1 == 1).count(),
        2
    );
    assert_eq!(pair.context.retired.len(), 2);
}

#[test]
fn urgent_streams_have_their_turns_first() {
    let mut pair = Pair::open();
    let heads = [
        pair.request_frame(1, &[("priority", "u=5")], true),
        pair.request_frame(3, &[("priority", "u=0")], true),
    ];
    pair.send(&heads.concat());
    pair.send(&window(0, 1_000_000));
    let requests = [pair.next_request(), pair.next_request()];
    for request in requests {
        let (_, number) = pair.context.names.find(request.conn).unwrap();
        let stream = pair.conn.stream_mut(number).unwrap();
        stream.send(OK, Some(large(60_000)), &mut pair.context);
        stream.answer(request, true, &mut pair.context);
    }
    pair.settle();
    let order: Vec<u32> = pair.frames().iter().map(|frame| frame.stream).collect();
    assert_eq!(order, [[3; 5], [1; 5]].concat());
}

#[test]
fn window_is_given_back_when_the_application_takes_the_body() {
    let mut context = context();
    context.settings.stream_request_body = true;
    let mut pair = Pair::open_in(context);
    let head = pair.request_frame(1, &[], false);
    pair.send(&head);
    let request = pair.next_request();
    let Body::Pipe(pipe) = &request.body else {
        panic!("not streamed")
    };
    for _ in 0..4 {
        pair.send(&data_frame(1, &[7; 16_000], false));
    }
    assert_eq!(pair.frames(), []);
    assert_eq!(pipe.held(), 64_000);
    pipe.take(usize::MAX);
    let (_, number) = pair.context.names.find(request.conn).unwrap();
    let stream = pair.conn.stream_mut(number).unwrap();
    assert_eq!(stream.resume_body(false, &mut pair.context), Verdict::Keep);
    pair.settle();
    let frames = pair.frames();
    assert_eq!((frames[0].kind, frames[0].stream), (8, 1));
    // More than the window allows ends the stream.
    for _ in 0..9 {
        pair.send(&data_frame(1, &[7; 16_000], false));
    }
    assert!(
        pair.frames()
            .iter()
            .any(|frame| frame.kind == 3 && frame.payload == [0, 0, 0, 3])
    );
}

#[test]
fn answer_that_breaks_off_is_reset() {
    let mut pair = Pair::open();
    pair.ask(1);
    let request = pair.next_request();
    let (_, number) = pair.context.names.find(request.conn).unwrap();
    let stream = pair.conn.stream_mut(number).unwrap();
    stream.send(OK, None, &mut pair.context);
    stream.answer(request, false, &mut pair.context);
    pair.settle();
    let frames = pair.frames();
    assert_eq!(
        (frames[0].kind, &frames[0].payload[..]),
        (3, &[0, 0, 0, 2][..])
    );
}

#[test]
fn trailers_end_the_stream() {
    let mut pair = Pair::open();
    pair.ask(1);
    let mut request = pair.next_request();
    request.trailers = b"Checksum: 7\r\n".to_vec();
    pair.answer(request, &[OK, b"body"].concat(), None);
    let frames = pair.frames();
    let told: Vec<_> = frames
        .iter()
        .map(|frame| (frame.kind, frame.flags))
        .collect();
    assert_eq!(told, [(1, 4), (0, 0), (1, 5)]);
    pair.headers(&frames[0]);
    assert_eq!(pair.headers(&frames[2]), ["checksum: 7"]);
}

#[test]
fn interim_answers_come_first() {
    let mut pair = Pair::open();
    let head = pair.request_frame(1, &[("expect", "100-continue")], false);
    pair.send(&head);
    let frames = pair.frames();
    assert_eq!(
        (frames[0].flags, pair.headers(&frames[0])),
        (4, vec![":status: 100".to_owned()])
    );
    pair.send(&data_frame(1, b"x", true));
    let request = pair.next_request();
    pair.answer(
        request,
        &[b"HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n", OK].concat(),
        None,
    );
    let frames = pair.frames();
    assert_eq!(pair.headers(&frames[0]), [":status: 103", "link: l"]);
    assert_eq!(
        (frames[1].flags, pair.headers(&frames[1])[0].as_str()),
        (5, ":status: 200")
    );
}

#[test]
fn streams_beyond_the_limit_are_refused_and_can_be_tried_again() {
    let mut pair = Pair::open();
    for stream in 0..9 {
        pair.ask(2 * stream + 1);
    }
    let frames = pair.frames();
    assert_eq!((frames.len(), frames[0].kind, frames[0].stream), (1, 3, 17));
    assert_eq!(frames[0].payload, [0, 0, 0, 7]);
    let request = pair.next_request();
    pair.answer(request, OK, None);
    pair.ask(19);
    assert_eq!(pair.context.ready.len(), 8);
}

#[test]
fn streams_that_the_client_gives_up_count_until_the_application_is_done() {
    let mut pair = Pair::open();
    let mut at_work = Vec::new();
    for stream in 0..8 {
        pair.ask(2 * stream + 1);
        at_work.push(pair.next_request());
        pair.send(&reset(2 * stream + 1));
    }
    pair.ask(17);
    assert!(pair.context.ready.is_empty());
    assert_eq!(pair.frames()[0].payload, [0, 0, 0, 7]);
    for request in at_work {
        assert!(pair.context.names.find(request.conn).is_none());
        assert_eq!(pair.context.names.bury(request.conn), Some(1));
        pair.conn.bury_stream(&mut pair.context);
    }
    pair.ask(19);
    pair.next_request();
}

/// Sends `bytes` again and again until the connection is told to go, and gives the code; or nothing if it never is.
fn attack(pair: &mut Pair, mut next: impl FnMut(&mut Pair, u32) -> Vec<u8>) -> Option<u32> {
    for round in 0..3_000 {
        let bytes = next(pair, round);
        pair.send(&bytes);
        pair.context.ready.clear();
        if pair.conn.phase() != Phase::Http2 {
            return pair.goaway();
        }
        if round % 50 == 0 {
            pair.frames();
        }
    }
    None
}

const CALM: Option<u32> = Some(11);

#[test]
fn rapid_resets_end_the_connection() {
    let mut pair = Pair::open();
    let code = attack(&mut pair, |pair, round| {
        let stream = 2 * round + 1;
        [pair.request_frame(stream, &[], true), reset(stream)].concat()
    });
    assert_eq!(code, CALM);
}

/// The client makes the server reset its streams, each of which has cost a call of the application by then.
#[test]
fn resets_that_the_client_brings_about_count_too() {
    let mut pair = Pair::open();
    let code = attack(&mut pair, |pair, round| {
        let stream = 2 * round + 1;
        [pair.request_frame(stream, &[], true), window(stream, 0)].concat()
    });
    assert_eq!(code, CALM);
}

#[test]
fn malformed_requests_without_end_end_the_connection() {
    let mut pair = Pair::open();
    let code = attack(&mut pair, |pair, round| {
        pair.request_frame(2 * round + 1, &[("te", "x")], true)
    });
    assert_eq!(code, CALM);
}

#[test]
fn floods_of_frames_that_move_nothing_end_the_connection() {
    let mut ping = Vec::new();
    write_ping(&mut ping, [0; 8]);
    for (name, frame) in [
        ("pings", ping),
        ("settings", SETTINGS.to_vec()),
        ("priorities", vec![0, 0, 5, 2, 0, 0, 0, 0, 9, 0, 0, 0, 3, 1]),
        (
            "urgencies",
            [&[0, 0, 7, 16, 0, 0, 0, 0, 0, 0, 0, 0, 3][..], b"u=1"].concat(),
        ),
        ("windows", window(0, 1)),
        ("unknown frames", vec![0, 0, 0, 99, 0, 0, 0, 0, 0]),
    ] {
        let mut pair = Pair::open();
        assert_eq!(attack(&mut pair, |_, _| frame.repeat(5)), CALM, "{name}");
    }
}

#[test]
fn floods_of_empty_data_end_the_connection() {
    for frame in [
        data_frame(1, b"", false),
        vec![0, 0, 3, 0, 8, 0, 0, 0, 1, 2, 0, 0],
    ] {
        let mut pair = Pair::open();
        let head = pair.request_frame(1, &[], false);
        pair.send(&head);
        assert_eq!(attack(&mut pair, |_, _| frame.repeat(5)), CALM);
    }
}

#[test]
fn header_blocks_without_end_end_the_connection() {
    let mut context = context();
    context.settings.limits.head_size = 1_000;
    for fragment in [&b""[..], b"\x00\x01a\x01b"] {
        let mut pair = Pair::open_in(context);
        context = crate::conn::tests::context();
        let mut head = pair.request_frame(1, &[], true);
        head[4] &= !4;
        pair.send(&head);
        let length = u8::try_from(fragment.len()).unwrap();
        let frame = [&[0, 0, length, 9, 0, 0, 0, 0, 1], fragment].concat();
        assert_eq!(attack(&mut pair, |_, _| frame.clone()), CALM);
    }
}

#[test]
fn frame_that_would_end_an_idle_stream_ends_the_connection() {
    let itself = |stream: u8| vec![0, 0, 5, 2, 0, 0, 0, 0, stream, 0, 0, 0, stream, 1];
    let short = |stream: u8| vec![0, 0, 1, 2, 0, 0, 0, 0, stream, 0];
    for stream in [2, 5] {
        let number = u32::from(stream);
        for (frame, code) in [
            (itself(stream), Code::Protocol),
            (short(stream), Code::FrameSize),
            (window(number, 0), Code::Protocol),
            (window(number, 1), Code::Protocol),
            (reset(number), Code::Protocol),
            (data_frame(number, b"x", false), Code::Protocol),
        ] {
            let mut pair = Pair::open();
            pair.ask(3);
            pair.send(&frame);
            assert_eq!(pair.goaway(), Some(code as u32), "{frame:?}");
        }
    }
    // One that is there ends alone.
    let mut pair = Pair::open();
    pair.ask(3);
    pair.send(&itself(3));
    assert_eq!(pair.frames()[0].kind, 3);
    assert_eq!(pair.conn.phase(), Phase::Http2);
}

#[test]
fn client_that_asks_and_never_reads_is_not_read_either() {
    let mut pair = Pair::open();
    pair.context.settings.max_buffered = usize::MAX;
    let mut ping = Vec::new();
    write_ping(&mut ping, [0; 8]);
    // What pays for the pings.
    let head = pair.request_frame(1, &[], false);
    pair.send(&head);
    let bytes = [data_frame(1, b"x", false), ping.clone(), ping].concat();
    let mut rounds = 0;
    while pair
        .theirs
        .write(&bytes.repeat(10))
        .is_ok_and(|count| count == bytes.len() * 10)
        && rounds < 50_000
    {
        rounds += 1;
        pair.conn.note_readiness(true, false);
        pair.verdict = pair.conn.pump(&mut pair.context);
        pair.settle();
        if pair.verdict == Verdict::Close {
            return;
        }
    }
    assert!(pair.context.buffered < 1 << 20, "{}", pair.context.buffered);
    assert!(rounds < 50_000);
}

#[test]
fn streams_that_are_given_up_before_they_were_written_leave_no_place_in_the_line() {
    let mut pair = Pair::open();
    pair.ask(1);
    let request = pair.next_request();
    // The connection's window, and nobody reads.
    pair.answer(request, OK, Some(large(100_000)));
    for stream in (3..100).step_by(2) {
        pair.ask(stream);
        let request = pair.next_request();
        pair.answer(request, OK, Some(large(10)));
        pair.send(&reset(stream));
    }
    let hub = &pair.conn.session.as_ref().unwrap().hub;
    assert_eq!((hub.streams.len(), &hub.starved[..]), (1, &[][..]));
    // The socket takes nothing either.
    pair.send(&window(0, 1 << 20));
    pair.send(&window(1, 1 << 20));
    let mut stream = 101;
    while pair.conn.unsent() == 0 {
        pair.ask(stream);
        let request = pair.next_request();
        pair.answer(request, OK, Some(large(60_000)));
        stream += 2;
    }
    for stream in (stream..stream + 100).step_by(2) {
        pair.ask(stream);
        let request = pair.next_request();
        pair.answer(request, OK, None);
        pair.send(&reset(stream));
    }
    let hub = &pair.conn.session.as_ref().unwrap().hub;
    assert!(hub.queue.len() <= hub.streams.len());
}

#[test]
fn tiny_windows_do_not_hold_an_answer_for_ever() {
    let mut pair = Pair::open();
    // A window of 0 for streams to come.
    pair.send(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    pair.ask(1);
    let request = pair.next_request();
    pair.answer(request, OK, Some(large(100_000)));
    pair.frames();
    let due = pair.conn.due();
    assert!(due <= pair.context.now.millis + pair.context.settings.write_timeout);
    pair.context.now.millis = due;
    pair.verdict = pair.conn.expire(&mut pair.context);
    pair.settle();
    let frames = pair.frames();
    assert_eq!((frames[0].kind, frames[0].stream), (3, 1));
    assert_eq!(
        (pair.context.retired.len(), pair.verdict),
        (1, Verdict::Keep)
    );
}

#[test]
fn slow_preface_head_and_body_have_deadlines() {
    let mut slow = Pair::fresh(context());
    slow.send(&PREFACE[..20]);
    let mut head = Pair::open();
    head.send(&[0, 0, 9]);
    for pair in [&mut slow, &mut head] {
        pair.context.now.millis += pair.context.settings.head_timeout;
        assert!(pair.conn.due() <= pair.context.now.millis);
        pair.verdict = pair.conn.expire(&mut pair.context);
        assert!(pair.goaway().is_some());
        assert_eq!(pair.conn.phase(), Phase::Linger);
    }
    let mut body = Pair::open();
    let frame = body.request_frame(1, &[], false);
    body.send(&frame);
    body.context.now.millis += body.context.settings.body_timeout;
    assert!(body.conn.due() <= body.context.now.millis);
    body.verdict = body.conn.expire(&mut body.context);
    body.settle();
    let frames = body.frames();
    assert_eq!(body.headers(&frames[0])[0], ":status: 408");
    assert_eq!(body.conn.phase(), Phase::Http2);
}

#[test]
fn idle_connection_is_told_to_go() {
    let mut pair = Pair::open();
    pair.ask(1);
    let request = pair.next_request();
    assert_eq!(pair.conn.due(), crate::conn::NEVER);
    pair.answer(request, OK, None);
    pair.frames();
    pair.context.now.millis += pair.context.settings.keep_alive_timeout;
    assert!(pair.conn.due() <= pair.context.now.millis);
    pair.verdict = pair.conn.expire(&mut pair.context);
    assert_eq!(pair.goaway(), Some(0));
}

#[test]
fn draining_connection_finishes_what_was_asked_for() {
    let mut pair = Pair::open();
    pair.ask(1);
    let first = pair.next_request();
    pair.context.draining = true;
    pair.verdict = pair.conn.leave_http2(&mut pair.context);
    let frames = pair.frames();
    assert_eq!(
        (frames[0].kind, &frames[0].payload[..4]),
        (7, &[0x7f, 0xff, 0xff, 0xff][..])
    );
    assert_eq!(frames[1].kind, 6);
    // On its way when the client heard of it.
    pair.ask(3);
    let second = pair.next_request();
    let pong = [&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &frames[1].payload].concat();
    pair.send(&pong);
    let frames = pair.frames();
    assert_eq!(
        (frames[0].kind, &frames[0].payload[..4]),
        (7, &[0, 0, 0, 3][..])
    );
    pair.ask(5);
    assert_eq!(pair.frames()[0].payload, [0, 0, 0, 7]);
    pair.answer(first, OK, None);
    assert_eq!(pair.conn.phase(), Phase::Http2);
    pair.answer(second, OK, None);
    assert_eq!(
        pair.frames().iter().filter(|frame| frame.kind == 1).count(),
        2
    );
    assert_eq!(pair.conn.phase(), Phase::Linger);
}

#[test]
fn client_that_breaks_the_protocol_while_it_leaves_is_promised_no_more_than_before() {
    let mut pair = Pair::open();
    pair.ask(1);
    pair.context.draining = true;
    pair.verdict = pair.conn.leave_http2(&mut pair.context);
    pair.send(&[&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], b"leaving\0"].concat());
    pair.ask(3);
    pair.send(&window(99, 1));
    let told: Vec<Vec<u8>> = pair
        .frames()
        .into_iter()
        .filter(|frame| frame.kind == 7)
        .map(|frame| frame.payload[..8].to_vec())
        .collect();
    assert_eq!(
        told[1..],
        [[0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 1]]
    );
}

#[test]
fn client_that_does_not_answer_is_told_from_where_on_after_a_while() {
    let mut pair = Pair::open();
    pair.context.draining = true;
    pair.verdict = pair.conn.leave_http2(&mut pair.context);
    pair.context.now.millis = pair.conn.due();
    pair.verdict = pair.conn.expire(&mut pair.context);
    let last = pair.frames().pop().unwrap();
    assert_eq!((last.kind, &last.payload[..4]), (7, &[0, 0, 0, 0][..]));
    assert_eq!(pair.conn.phase(), Phase::Linger);
}

#[test]
fn all_is_let_go_of_with_the_connection() {
    let mut pair = Pair::open();
    let head = pair.request_frame(1, &[], false);
    pair.send(&[head, data_frame(1, &[0; 10_000], false)].concat());
    pair.ask(3);
    let request = pair.next_request();
    pair.answer(request, OK, Some(large(1_000_000)));
    pair.ask(5);
    let at_work = pair.next_request();
    assert!(pair.context.buffered > 900_000);
    pair.conn.release(&mut pair.context);
    assert_eq!((pair.context.buffered, pair.context.retired.len()), (0, 1));
    assert!(pair.context.names.find(at_work.conn).is_none());
    assert_eq!(pair.context.names.bury(at_work.conn), None);
    assert!(pair.context.news.contains(&at_work.conn));
}

#[test]
fn client_that_ends_its_side_is_still_answered() {
    let mut pair = Pair::open();
    pair.ask(1);
    let request = pair.next_request();
    pair.theirs.shutdown(std::net::Shutdown::Write).unwrap();
    pair.conn.note_readiness(true, true);
    pair.verdict = pair.conn.pump(&mut pair.context);
    assert_eq!(pair.verdict, Verdict::Keep);
    assert!(pair.stream(&request).has_ended());
    pair.answer(request, OK, None);
    assert_eq!(pair.frames()[0].kind, 1);
    assert_eq!(pair.verdict, Verdict::Close);
}

#[test]
fn websocket_whose_stream_is_given_up_is_lost() {
    let mut pair = Pair::open();
    let mut block = Vec::new();
    pair.encoder.begin(&mut block);
    for (name, value) in [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
    ] {
        pair.encoder
            .field(&mut block, name.as_bytes(), value.as_bytes());
    }
    let mut head = Vec::new();
    write_headers(&mut head, 1, &block, 16_384, false);
    // What comes before the acceptance waits for it.
    pair.send(&[head, data_frame(1, b"\x81\x81\0\0\0\0a", false)].concat());
    let request = pair.next_request();
    let (_, number) = pair.context.names.find(request.conn).unwrap();
    let stream = pair.conn.stream_mut(number).unwrap();
    let (inbox, verdict) = stream.open_websocket(
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        None,
        &mut pair.context,
    );
    assert_eq!(verdict, Verdict::Keep);
    pair.settle();
    let frames = pair.frames();
    assert_eq!(
        (frames[0].flags, pair.headers(&frames[0])),
        (4, vec![":status: 200".to_owned()])
    );
    assert!(
        matches!(inbox.take(), crate::conn::Received::Message(message, _) if message.data == b"a")
    );
    pair.context.news.clear();
    pair.send(&reset(1));
    assert!(inbox.is_closed());
    assert_eq!(pair.context.news, [request.conn]);
}
