//! Numbers and their names, as IANA's registry "Domain Name System (DNS) Parameters" has them.

use limpid_model::Text;

#[rustfmt::skip]
const TYPES: [(u16, &str); 75] = [
    (1, "A"), (2, "NS"), (3, "MD"), (4, "MF"), (5, "CNAME"), (6, "SOA"), (7, "MB"), (8, "MG"), (9, "MR"), (10, "NULL"),
    (11, "WKS"), (12, "PTR"), (13, "HINFO"), (14, "MINFO"), (15, "MX"), (16, "TXT"), (17, "RP"), (18, "AFSDB"),
    (19, "X25"), (20, "ISDN"), (21, "RT"), (22, "NSAP"), (23, "NSAP-PTR"), (24, "SIG"), (25, "KEY"), (26, "PX"),
    (27, "GPOS"), (28, "AAAA"), (29, "LOC"), (30, "NXT"), (31, "EID"), (32, "NIMLOC"), (33, "SRV"), (34, "ATMA"),
    (35, "NAPTR"), (36, "KX"), (37, "CERT"), (38, "A6"), (39, "DNAME"), (40, "SINK"), (41, "OPT"), (42, "APL"),
    (43, "DS"), (44, "SSHFP"), (45, "IPSECKEY"), (46, "RRSIG"), (47, "NSEC"), (48, "DNSKEY"), (49, "DHCID"),
    (50, "NSEC3"), (51, "NSEC3PARAM"), (52, "TLSA"), (53, "SMIMEA"), (55, "HIP"), (59, "CDS"), (60, "CDNSKEY"),
    (61, "OPENPGPKEY"), (62, "CSYNC"), (63, "ZONEMD"), (64, "SVCB"), (65, "HTTPS"), (99, "SPF"), (104, "NID"),
    (105, "L32"), (106, "L64"), (107, "LP"), (108, "EUI48"), (109, "EUI64"), (249, "TKEY"), (250, "TSIG"),
    (251, "IXFR"), (252, "AXFR"), (255, "ANY"), (256, "URI"), (257, "CAA"),
];

/// `A`, `HTTPS`; `TYPE65534` where there is no name (RFC 3597 section 5).
pub fn name(kind: u16) -> Text {
    match TYPES.binary_search_by_key(&kind, |(number, _)| *number) {
        Ok(at) => TYPES.get(at).map_or_else(Text::default, |(_, name)| Text::const_new(name)),
        Err(_) => format!("TYPE{kind}").into(),
    }
}

#[rustfmt::skip]
const CODES: [(&str, &str); 24] = [
    ("0", "NOERROR"), ("1", "FORMERR"), ("2", "SERVFAIL"), ("3", "NXDOMAIN"), ("4", "NOTIMP"), ("5", "REFUSED"),
    ("6", "YXDOMAIN"), ("7", "YXRRSET"), ("8", "NXRRSET"), ("9", "NOTAUTH"), ("10", "NOTZONE"), ("11", "DSOTYPENI"),
    ("12", ""), ("13", ""), ("14", ""), ("15", ""), ("16", "BADVERS"), ("17", "BADKEY"), ("18", "BADTIME"),
    ("19", "BADMODE"), ("20", "BADNAME"), ("21", "BADALG"), ("22", "BADTRUNC"), ("23", "BADCOOKIE"),
];

pub fn code(code: u16) -> Text {
    CODES.get(usize::from(code)).map_or_else(|| code.to_string().into(), |(number, _)| Text::const_new(number))
}

pub fn code_name(code: u16) -> Option<&'static str> {
    CODES.get(usize::from(code)).map(|(_, name)| *name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_number() {
        for (number, expected) in TYPES {
            assert_eq!(name(number), expected);
        }
        assert_eq!(name(65_534), "TYPE65534");
        assert_eq!((code(16).as_str(), code(4095).as_str(), code_name(2)), ("16", "4095", Some("SERVFAIL")));
    }
}
