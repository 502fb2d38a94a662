//! Messages over a pipe: each behind a header that tells its length.
//!
//! Source: the base protocol of the Language Server Protocol 3.17.

use std::io::{BufRead, BufReader, Read, Write};

use crate::error::LspError;
use crate::message::{MAX_MESSAGE_BYTES, failure};
use crate::server::Server;

/// The longest line of a header.
const MAX_HEADER_BYTES: u64 = 4 * 1024;

/// Serves one editor until it sends `exit`, or its end of the pipe is closed. Gives the status that the process shall end with: 0 when
/// `shutdown` came before, else 1.
///
/// # Errors
/// When reading or writing fails, or a header is not one; the editor is told of the latter.
pub fn serve_stdio(
    reader: impl Read,
    mut writer: impl Write,
    server: &mut Server,
) -> Result<i32, LspError> {
    let mut reader = BufReader::new(reader);
    while server.exit_status().is_none() {
        let length = match read_header(&mut reader) {
            Ok(Some(length)) => length,
            Ok(None) => break,
            Err(error) => {
                if !matches!(error, LspError::Io(_)) {
                    let told = failure(serde_json::Value::Null, &error).to_string();
                    write_message(&mut writer, &told)?;
                }
                return Err(error);
            }
        };
        let replies = if length > MAX_MESSAGE_BYTES as u64 {
            let passed = std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
            if passed < length {
                break;
            }
            let error = LspError::MessageTooLarge(length);
            vec![failure(serde_json::Value::Null, &error).to_string()]
        } else {
            let mut message = vec![0; length as usize];
            reader.read_exact(&mut message)?;
            server.handle_text(&String::from_utf8_lossy(&message))
        };
        for reply in replies {
            write_message(&mut writer, &reply)?;
        }
    }
    Ok(server.exit_status().unwrap_or(server.status_at_end()))
}

/// Reads up to the blank line, and gives the length of what follows; `None` at the end of the pipe.
fn read_header(reader: &mut impl BufRead) -> Result<Option<u64>, LspError> {
    let mut length = None;
    let mut first = true;
    loop {
        let mut line = Vec::new();
        reader
            .by_ref()
            .take(MAX_HEADER_BYTES)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() && first {
            return Ok(None);
        }
        let Some(line) = line.strip_suffix(b"\n") else {
            let text = match line.len() as u64 {
                MAX_HEADER_BYTES => "a line is too long",
                _ => "it ends early",
            };
            return Err(LspError::InvalidHeader(text.to_owned()));
        };
        first = false;
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if line.is_empty() {
            let missing = || LspError::InvalidHeader("Content-Length is missing".to_owned());
            return length.ok_or_else(missing).map(Some);
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(LspError::InvalidHeader(format!("'{line}' is no field")));
        };
        if name.trim().eq_ignore_ascii_case("content-length") {
            let value = value.trim();
            length = Some(value.parse().map_err(|_| {
                LspError::InvalidHeader(format!("Content-Length '{value}' is no length"))
            })?);
        }
    }
}

fn write_message(writer: &mut impl Write, message: &str) -> Result<(), LspError> {
    write!(writer, "Content-Length: {}\r\n\r\n{message}", message.len())?;
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, NoTags};
    use std::sync::Arc;

    fn served(input: &[u8]) -> (Result<i32, String>, String) {
        let mut server = Server::new(Language::Asl, Arc::new(NoTags));
        let mut output = Vec::new();
        let status = serve_stdio(input, &mut output, &mut server).map_err(|e| e.to_string());
        (status, String::from_utf8(output).expect("text"))
    }

    #[test]
    fn messages_are_framed() {
        let exit = r#"{"jsonrpc":"2.0","method":"exit"}"#;
        let input = format!(
            "content-length: 1\r\nContent-Type: x\r\n\r\n{{Content-Length: {}\n\n{exit}",
            exit.len()
        );
        let (status, output) = served(input.as_bytes());
        assert_eq!(status, Ok(1));
        assert!(output.starts_with("Content-Length: "), "{output}");
        assert!(output.contains("-32700"), "{output}");
        assert_eq!(served(b""), (Ok(1), String::new()));
    }

    #[test]
    fn large_messages_are_passed_over() {
        let mut input = format!("Content-Length: {}\r\n\r\n", MAX_MESSAGE_BYTES + 1).into_bytes();
        input.resize(input.len() + MAX_MESSAGE_BYTES + 1, b' ');
        input.extend_from_slice(b"Content-Length: 2\r\n\r\n{}");
        let (status, output) = served(&input);
        assert_eq!(status, Ok(1));
        assert!(
            output.contains("message is too large: 1048577 bytes"),
            "{output}"
        );
        assert!(output.contains("'jsonrpc' has to be"), "{output}");
    }

    #[test]
    fn headers_that_cannot_be_read_end_the_connection() {
        for (input, reason) in [
            ("Content-Length: x\r\n\r\n", "is no length"),
            ("Content-Type: x\r\n\r\n", "Content-Length is missing"),
            ("nonsense\r\n\r\n", "is no field"),
            ("Content-Length: 5", "ends early"),
            (&"x".repeat(9000), "too long"),
        ] {
            let (status, output) = served(input.as_bytes());
            assert!(status.expect_err("refused").contains(reason), "{input}");
            assert!(output.contains(reason), "{output}");
        }
        assert!(served(b"Content-Length: 5\r\n\r\n{}").0.is_err());
    }
}
