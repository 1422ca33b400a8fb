//! Cookies that an answer sets beside its own. While a secret is exchanged, a service gives a browser its cookies under the
//! current secret, and drops those that would disagree with a new one.

use std::sync::{Arc, Mutex, PoisonError};

use poem::{
    Request, Response,
    http::{HeaderValue, header},
};

/// Attached to each request of a service that reads the cookies of several secrets. The values of `Set-Cookie`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SetCookies(Arc<Mutex<Vec<String>>>);

fn name(cookie: &[u8]) -> &[u8] {
    let end = cookie.iter().position(|byte| *byte == b'=');
    &cookie[..end.unwrap_or(cookie.len())]
}

impl SetCookies {
    /// Sets a cookie with the answer to this request, unless the answer sets one with the same name by itself.
    pub(crate) fn add(request: &Request, cookie: String) {
        if let Some(cookies) = request.data::<Self>() {
            let mut cookies = cookies.0.lock().unwrap_or_else(PoisonError::into_inner);
            if cookies
                .iter()
                .all(|other| name(other.as_bytes()) != name(cookie.as_bytes()))
            {
                cookies.push(cookie);
            }
        }
    }

    pub(crate) fn put_on(&self, answer: &mut Response) {
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in cookies.drain(..) {
            let there = answer.headers().get_all(header::SET_COOKIE).into_iter();
            let mut there = there.map(|other| name(other.as_bytes()));
            if !there.any(|other| other == name(cookie.as_bytes()))
                && let Ok(cookie) = HeaderValue::try_from(cookie)
            {
                answer.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_answer_sets_by_itself_comes_first() {
        let mut request = Request::builder().finish();
        let cookies = SetCookies::default();
        SetCookies::add(&request, "lost=x".to_owned());
        request.set_data(cookies.clone());
        for cookie in ["a=1; Path=/", "b=2; Path=/", "b=3; Path=/"] {
            SetCookies::add(&request, cookie.to_owned());
        }
        let mut answer = Response::builder().header("set-cookie", "a=4").finish();
        cookies.put_on(&mut answer);
        let set: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
        assert_eq!(set, ["a=4", "b=2; Path=/"]);
    }
}
