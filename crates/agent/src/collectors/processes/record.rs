//! Reads the records of `processes.bpf.c`. The layout is that of `processes.h`; a record that is shorter than it says is
//! none.

use crate::identity::image::Image;

#[derive(Debug, PartialEq)]
pub enum Record {
    Exec { tgid: u32, ppid: u32, start_ns: u64, image: Box<Image> },
    Fork { tgid: u32, ppid: u32, start_ns: u64 },
    Exit { tgid: u32 },
}

pub fn parse(bytes: &[u8]) -> Option<Record> {
    let mut reader = Reader(bytes);
    let (kind, tgid, ppid, uid) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let (start_ns, _cgroup_id) = (reader.u64()?, reader.u64()?);
    let lengths = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    match kind {
        1 => {
            let cgroup = reader.take(lengths[0].into())?;
            let exe = reader.take(lengths[1].into())?;
            let args = reader.take(lengths[2].into())?;
            let environment = reader.take(lengths[3].into())?;
            let image = Box::new(Image::from_record(exe, args, environment, cgroup, uid));
            Some(Record::Exec { tgid, ppid, start_ns, image })
        }
        2 => Some(Record::Fork { tgid, ppid, start_ns }),
        3 => Some(Record::Exit { tgid }),
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.take(2)?.try_into().ok()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.take(4)?.try_into().ok()?))
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.take(8)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, parts: [&[u8]; 4]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [kind, 42, 7, 1000] {
            bytes.extend(number.to_ne_bytes());
        }
        for number in [5_000_000_000u64, 1] {
            bytes.extend(number.to_ne_bytes());
        }
        for part in parts {
            bytes.extend((part.len() as u16).to_ne_bytes());
        }
        parts.iter().for_each(|part| bytes.extend(*part));
        bytes
    }

    #[test]
    fn every_cut_is_no_record() {
        let whole = record(1, [b"a.service\0system.slice\0", b"/bin/app\0", b"app\0x\0", b"OTEL_SERVICE_NAME=n\0"]);
        let Some(Record::Exec { tgid: 42, ppid: 7, start_ns: 5_000_000_000, image }) = parse(&whole) else {
            panic!("{:?}", parse(&whole))
        };
        assert_eq!(image.service_name.as_deref(), Some("n"));
        assert_eq!(image.place.unit.as_deref(), Some("a"));
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn forks_exits_and_others() {
        let empty: [&[u8]; 4] = [b"", b"", b"", b""];
        assert_eq!(parse(&record(2, empty)), Some(Record::Fork { tgid: 42, ppid: 7, start_ns: 5_000_000_000 }));
        assert_eq!(parse(&record(3, empty)), Some(Record::Exit { tgid: 42 }));
        assert_eq!(parse(&record(9, empty)), None);
    }
}
