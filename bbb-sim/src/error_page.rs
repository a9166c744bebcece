//! The answers of the programs around bbb-web: of Tomcat to an exception, of Spring to an unknown
//! path, and of the nginx in front to a body that is too long.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::{body::SimBody, response::response, time};

const HTML: &str = "text/html;charset=utf-8";
const EXCEPTION: &str = "<!doctype html><html lang=\"en\"><head><title>HTTP Status 500 – Internal Server \
    Error</title><style type=\"text/css\">body {font-family:Tahoma,Arial,sans-serif;} h1, h2, h3, b \
    {color:white;background-color:#525D76;} h1 {font-size:22px;} h2 {font-size:16px;} h3 {font-size:14px;} \
    p {font-size:12px;} a {color:black;} .line {height:1px;background-color:#525D76;border:none;}</style>\
    </head><body><h1>HTTP Status 500 – Internal Server Error</h1></body></html>";
const TOO_LONG: &str = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n\
    <center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n\
    </html>\r\n";

/// Returns the answer to a request that made bbb-web throw an exception.
pub(crate) fn exception() -> Response<SimBody> {
    let mut response = plain(StatusCode::INTERNAL_SERVER_ERROR, HTML, EXCEPTION);
    response.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    response
}

/// Returns the answer to a path that names no call, in the format that the client accepts.
pub(crate) fn unknown_path(path: &str, accept: &str) -> Response<SimBody> {
    let now_ms = time::now_ms();
    if accept.contains("html") {
        let page = "<!doctype html><html lang=\"en\"><head><title>HTTP Status 404 – Not Found</title></head>\
                    <body><h1>HTTP Status 404 – Not Found</h1></body></html>";
        return plain(StatusCode::NOT_FOUND, HTML, page);
    }
    if accept.contains("json") {
        let text = json!({ "timestamp": now_ms, "status": 404, "error": "Not Found", "path": path });
        return plain(StatusCode::NOT_FOUND, "application/json", text.to_string());
    }
    let mut text =
        format!("<Map><timestamp>{now_ms}</timestamp><status>404</status><error>Not Found</error>");
    text.push_str("<path>");
    usher_bbb::reply::xml::push_escaped(&mut text, path);
    text.push_str("</path></Map>");
    plain(StatusCode::NOT_FOUND, "application/xml;charset=UTF-8", text)
}

/// Returns the answer to a body that is longer than the limit of the nginx in front.
pub(crate) fn too_long() -> Response<SimBody> {
    plain(StatusCode::PAYLOAD_TOO_LARGE, "text/html", TOO_LONG)
}

fn plain(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<SimBody> {
    let mut response = response(status, content_type, body);
    response.headers_mut().remove(header::CACHE_CONTROL);
    response
}
