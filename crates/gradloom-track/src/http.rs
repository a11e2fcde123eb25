//! Requests over plain HTTP/1.1, one connection each: enough for a server on this machine or behind a tunnel.
//! No TLS, no redirections.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::{Error, ErrorKind, Result};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer, at most.
const ANSWER_MAX: u64 = 16 << 20;

/// A server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// With the port.
    host: String,
    /// Before every path, without a slash at its end.
    prefix: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// Of an address as `http://localhost:5000`.
    pub(crate) fn new(address: &str) -> Result<Self> {
        let Some(rest) = address.strip_prefix("http://") else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "mlflow: the address {address:?} does not begin with http://; TLS is not spoken"
                ),
            ));
        };
        let (host, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        if host.is_empty() || rest.contains(bad) {
            return Err(Error::invalid(format!("mlflow: {address:?} is no address of a server")));
        }
        let port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if port { host.to_owned() } else { format!("{host}:80") };
        Ok(Server { host, prefix: prefix.trim_end_matches('/').to_owned() })
    }

    /// Sends one request and waits for its answer.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<Answer> {
        self.exchange(method, path, kind, body).map_err(|error| {
            error.context(format!("mlflow: {method} http://{}{}{path}", self.host, self.prefix))
        })
    }

    fn exchange(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let head = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: application/json\r\n\
             User-Agent: gradloom\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.prefix,
            self.host,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut bytes)?;
        answer(&bytes)
    }

    fn connect(&self) -> Result<TcpStream> {
        let mut last = None;
        for address in self.host.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, TIMEOUT) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| Error::new(ErrorKind::NotFound, "no such host"), Error::from))
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the answer {what}"))
}

fn answer(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| malformed("ends within its head"))?;
    let head =
        std::str::from_utf8(&bytes[..end]).map_err(|_| malformed("has a head of no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status.and_then(|line| line.get(2..5)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| malformed("has no status"))?;
    let (mut len, mut chunked) = (None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => len = value.trim().parse::<usize>().ok(),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let rest = &bytes[end + 4..];
    let body = match (chunked, len) {
        (true, _) => joined(rest)?,
        (false, Some(len)) => {
            rest.get(..len).ok_or_else(|| malformed("ends within its body"))?.to_vec()
        }
        (false, None) => rest.to_vec(),
    };
    Ok(Answer { status, body })
}

/// The chunks of a body in one.
fn joined(mut rest: &[u8]) -> Result<Vec<u8>> {
    let short = || malformed("ends within a chunk");
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or_else(short)?;
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|line| line.split(';').next()).map(str::trim);
        let size = size.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let size = size.ok_or_else(|| malformed("has a chunk without a size"))?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(body);
        }
        body.extend(rest.get(..size).ok_or_else(short)?);
        rest = rest.get(size..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or_else(short)?;
    }
}

/// Text that stands in an address, also between slashes.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{Server, answer};

    #[test]
    fn answers_are_read_whole_or_refused() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{ }";
        let read = answer(whole).unwrap();
        assert_eq!((read.status, &read.body[..]), (200, &b"{ }"[..]));
        for len in 0..whole.len() {
            assert!(answer(&whole[..len]).is_err(), "{len} bytes");
        }
        let chunks = b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n";
        let read = answer(chunks).unwrap();
        assert_eq!((read.status, &read.body[..]), (404, &b"abc"[..]));
        let wide = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab";
        assert!(answer(wide).unwrap_err().is_malformed());
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        assert!(Server::new("https://host").unwrap_err().to_string().contains("TLS"));
        for address in ["http://", "http://a b", "http://host/\r\nX: y"] {
            assert!(Server::new(address).is_err(), "{address:?}");
        }
    }
}
