//! The header `traceparent`, as W3C Trace Context (level 1, 2021) has it.

use data_encoding::HEXLOWER;
use voting_core::trace::TraceContext;

/// The caller's span, and whether it is recorded; `None` if the header is none.
pub(super) fn read(header: &str) -> Option<(TraceContext, bool)> {
    let mut parts = header.split('-');
    let [version] = hex(parts.next()?)?;
    let context = TraceContext::new(hex(parts.next()?)?, hex(parts.next()?)?)?;
    let [flags] = hex(parts.next()?)?;
    // Later versions may have more behind it.
    let is_whole = version != 0 || parts.next().is_none();
    (version != 0xff && is_whole).then_some((context, flags & 1 != 0))
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_read_from_the_header() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (context, sampled) = read(header).unwrap();
        assert_eq!(
            format!("00-{context:?}-01"),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        );
        assert!(sampled);
        assert!(!read(&header.replace("-01", "-02")).unwrap().1);
        assert!(read(&header.replacen("00", "cc", 1).replace("-01", "-01-what")).is_some());
    }

    #[test]
    fn what_is_no_such_header_is_passed_over() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for bad in [
            "",
            "00",
            zero,
            &good[..54],
            &good.to_uppercase(),
            &good.replacen("00", "ff", 1),
            &format!("{good}-more"),
            &good.replace("-01", "-1"),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
