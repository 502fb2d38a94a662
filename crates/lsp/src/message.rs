//! JSON-RPC 2.0 messages.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::LspError;

/// The largest message that is read.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// A message from the editor.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    /// It wants an answer.
    Request {
        /// A number or a text.
        id: Value,
        method: String,
        params: Value,
    },
    /// It wants none.
    Notification { method: String, params: Value },
    /// An answer to a request of ours; there are none, so that it does not count.
    Response,
}

impl Incoming {
    /// Reads a message; with an error comes the id to answer it with, null when there is none.
    pub(crate) fn read(message: Value) -> Result<Self, (Value, LspError)> {
        let Value::Object(mut fields) = message else {
            let text = "it has to be an object; batches are not part of the protocol";
            return Err((Value::Null, LspError::InvalidMessage(text)));
        };
        let id = fields.remove("id");
        let reply_to = match &id {
            Some(id @ (Value::Number(_) | Value::String(_))) => id.clone(),
            _ => Value::Null,
        };
        Self::from_fields(fields, id).map_err(|text| (reply_to, LspError::InvalidMessage(text)))
    }

    fn from_fields(
        mut fields: Map<String, Value>,
        id: Option<Value>,
    ) -> Result<Self, &'static str> {
        if fields.get("jsonrpc") != Some(&Value::from("2.0")) {
            return Err("'jsonrpc' has to be \"2.0\"");
        }
        let method = match fields.remove("method") {
            Some(Value::String(method)) => method,
            Some(_) => return Err("'method' has to be a text"),
            None if fields.contains_key("result") || fields.contains_key("error") => {
                return Ok(Self::Response);
            }
            None => return Err("'method' is missing"),
        };
        let params = fields.remove("params").unwrap_or_default();
        if !matches!(params, Value::Object(_) | Value::Array(_) | Value::Null) {
            return Err("'params' has to be an object or a list");
        }
        match id {
            None => Ok(Self::Notification { method, params }),
            Some(id @ (Value::Number(_) | Value::String(_))) => {
                Ok(Self::Request { id, method, params })
            }
            Some(_) => Err("'id' has to be a number or a text"),
        }
    }
}

/// The answer to a request.
pub(crate) fn reply(id: Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// The answer to a message that failed; the id is null when it was no request.
pub(crate) fn failure(id: Value, error: &LspError) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": error.code(), "message": error.to_string()}})
}

/// A message that wants no answer.
pub(crate) fn notification(method: &str, params: impl Serialize) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: Value) -> Result<Incoming, (Value, String)> {
        Incoming::read(message).map_err(|(id, e)| (id, e.to_string()))
    }

    #[test]
    fn messages_are_told_apart() {
        assert_eq!(
            read(json!({"jsonrpc": "2.0", "id": "a", "method": "m", "params": {}})),
            Ok(Incoming::Request {
                id: "a".into(),
                method: "m".to_owned(),
                params: json!({})
            })
        );
        assert_eq!(
            read(json!({"jsonrpc": "2.0", "method": "m"})),
            Ok(Incoming::Notification {
                method: "m".to_owned(),
                params: Value::Null
            })
        );
        assert_eq!(
            read(json!({"jsonrpc": "2.0", "id": 1, "result": null})),
            Ok(Incoming::Response)
        );
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (message, id) in [
            (json!([]), json!(null)),
            (json!({"id": 1, "method": "m"}), json!(1)),
            (json!({"jsonrpc": "2.0", "id": 1}), json!(1)),
            (json!({"jsonrpc": "2.0", "id": 1, "method": 2}), json!(1)),
            (
                json!({"jsonrpc": "2.0", "id": {}, "method": "m"}),
                json!(null),
            ),
            (
                json!({"jsonrpc": "2.0", "id": 3, "method": "m", "params": 1}),
                json!(3),
            ),
        ] {
            assert_eq!(
                read(message.clone()).expect_err("refused").0,
                id,
                "{message}"
            );
        }
    }
}
