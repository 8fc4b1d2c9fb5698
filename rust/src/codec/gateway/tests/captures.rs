//! What nginx 1.22 (with the parameters that Debian includes) and Apache 2.4 were seen to send, and what becomes of it:
//! `captures/*.bin` and `*.txt`. Only paths of the file system were replaced. The receivers give each whole, byte by
//! byte, cut everywhere, and with bytes behind it.

use crate::codec::{fastcgi, scgi, uwsgi};

/// Checks each capture against its description.
macro_rules! check {
    ($receive:expr, $($name:literal)*) => {
        $(assert_eq!(
            $receive(include_bytes!(concat!("captures/", $name, ".bin"))),
            include_str!(concat!("captures/", $name, ".txt")),
            "{}",
            $name
        );)*
    };
}

#[test]
fn uwsgi_of_nginx() {
    check!(
        uwsgi::tests::receive,
        "nginx-uwsgi-get"
        "nginx-uwsgi-post"
        "nginx-uwsgi-chunked"
        "nginx-uwsgi30-get"
        "nginx-uwsgi-http10"
        "nginx-uwsgi-absolute"
        "nginx-uwsgi-upgrade"
        "nginx-uwsgi-unix"
        "nginx-uwsgi-https"
        "nginx-uwsgi-h2"
        "nginx-uwsgi-expect"
    );
}

#[test]
fn uwsgi_of_apache() {
    check!(
        uwsgi::tests::receive,
        "apache-uwsgi-get"
        "apache-uwsgi-post"
        "apache-uwsgi-http10"
        "apache-uwsgi-absolute"
        "apache-uwsgi-https"
        "apache-uwsgi-h2"
    );
}

#[test]
fn scgi_of_nginx_and_apache() {
    check!(
        scgi::tests::receive,
        "nginx-scgi-get"
        "nginx-scgi-post"
        "nginx-scgi-chunked"
        "apache-scgi-get"
        "apache-scgi-post"
    );
}

#[test]
fn fastcgi_of_nginx_and_apache() {
    check!(
        fastcgi::tests::receive,
        "nginx-fastcgi-get"
        "nginx-fastcgi-post"
        "nginx-fastcgi-unbuffered-chunked"
        "nginx-fastcgi-keep-post"
        "nginx-fastcgi-split-get"
        "nginx-fastcgi-unix"
        "apache-fastcgi-get"
        "apache-fastcgi-post"
        "apache-fastcgi-chunked"
    );
}

/// HTTP/1 would refuse such a target too; nginx passes it on as it is.
#[test]
fn targets_that_are_not_ascii_are_refused() {
    let bytes = include_bytes!("captures/nginx-uwsgi-rawpath.bin");
    assert_eq!(uwsgi::tests::refuse(bytes).status, 400);
}
