//! Names of numbers: IANA's registries "TLS Cipher Suites", "TLS Supported Groups" and "TLS Alerts".

use limpid_model::Text;
use std::fmt::Write;

pub(super) const TLS_1_3: u16 = 0x0304;

#[rustfmt::skip]
const CIPHERS: &[(u16, &str)] = &[
    (0x0000, "TLS_NULL_WITH_NULL_NULL"), (0x0001, "TLS_RSA_WITH_NULL_MD5"), (0x0002, "TLS_RSA_WITH_NULL_SHA"),
    (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5"), (0x0004, "TLS_RSA_WITH_RC4_128_MD5"),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"), (0x0009, "TLS_RSA_WITH_DES_CBC_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"), (0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x0018, "TLS_DH_anon_WITH_RC4_128_MD5"), (0x001b, "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA"),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"), (0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA"),
    (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"), (0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"), (0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA"),
    (0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"), (0x003a, "TLS_DH_anon_WITH_AES_256_CBC_SHA"),
    (0x003b, "TLS_RSA_WITH_NULL_SHA256"), (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"), (0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0045, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA"), (0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"), (0x0084, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA"),
    (0x0088, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA"), (0x008a, "TLS_PSK_WITH_RC4_128_SHA"),
    (0x008c, "TLS_PSK_WITH_AES_128_CBC_SHA"), (0x008d, "TLS_PSK_WITH_AES_256_CBC_SHA"),
    (0x0096, "TLS_RSA_WITH_SEED_CBC_SHA"), (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"), (0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"), (0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256"),
    (0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384"), (0x00ae, "TLS_PSK_WITH_AES_128_CBC_SHA256"),
    (0x00c6, "TLS_SM4_GCM_SM3"), (0x1301, "TLS_AES_128_GCM_SHA256"), (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"), (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"), (0xc007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
    (0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"), (0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    (0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"), (0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"), (0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    (0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"), (0xc018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA"),
    (0xc019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA"), (0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    (0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"), (0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"), (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"), (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), (0xc035, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA"),
    (0xc09c, "TLS_RSA_WITH_AES_128_CCM"), (0xc09d, "TLS_RSA_WITH_AES_256_CCM"),
    (0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM"), (0xc09f, "TLS_DHE_RSA_WITH_AES_256_CCM"),
    (0xc0a0, "TLS_RSA_WITH_AES_128_CCM_8"), (0xc0a4, "TLS_PSK_WITH_AES_128_CCM"),
    (0xc0a8, "TLS_PSK_WITH_AES_128_CCM_8"), (0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"),
    (0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM"), (0xc0ae, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"),
    (0xc0af, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8"), (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"), (0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccab, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256"), (0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
];

#[rustfmt::skip]
const GROUPS: &[(u16, &str)] = &[
    (23, "secp256r1"), (24, "secp384r1"), (25, "secp521r1"), (29, "x25519"), (30, "x448"), (256, "ffdhe2048"),
    (257, "ffdhe3072"), (258, "ffdhe4096"), (259, "ffdhe6144"), (260, "ffdhe8192"), (512, "MLKEM512"),
    (513, "MLKEM768"), (514, "MLKEM1024"), (0x11eb, "SecP256r1MLKEM768"), (0x11ec, "X25519MLKEM768"),
    (0x11ed, "SecP384r1MLKEM1024"), (0x6399, "X25519Kyber768Draft00"),
];

#[rustfmt::skip]
const ALERTS: &[(u8, &str)] = &[
    (0, "close_notify"), (10, "unexpected_message"), (20, "bad_record_mac"), (21, "decryption_failed"),
    (22, "record_overflow"), (30, "decompression_failure"), (40, "handshake_failure"), (41, "no_certificate"),
    (42, "bad_certificate"), (43, "unsupported_certificate"), (44, "certificate_revoked"),
    (45, "certificate_expired"), (46, "certificate_unknown"), (47, "illegal_parameter"), (48, "unknown_ca"),
    (49, "access_denied"), (50, "decode_error"), (51, "decrypt_error"), (60, "export_restriction"),
    (70, "protocol_version"), (71, "insufficient_security"), (80, "internal_error"), (86, "inappropriate_fallback"),
    (90, "user_canceled"), (100, "no_renegotiation"), (109, "missing_extension"), (110, "unsupported_extension"),
    (111, "certificate_unobtainable"), (112, "unrecognized_name"), (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"), (115, "unknown_psk_identity"), (116, "certificate_required"),
    (120, "no_application_protocol"), (121, "ech_required"),
];

fn numbered(names: &[(u16, &'static str)], number: u16) -> Text {
    if let Some((_, name)) = names.iter().find(|(known, _)| *known == number) {
        return Text::const_new(name);
    }
    let mut hex = Text::default();
    // Writing to a text cannot fail.
    let _ = write!(hex, "0x{number:04X}");
    hex
}

pub(super) fn cipher(number: u16) -> Text {
    numbered(CIPHERS, number)
}

pub(super) fn group(number: u16) -> Text {
    numbered(GROUPS, number)
}

pub(super) fn alert(number: u8) -> Option<&'static str> {
    ALERTS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Name and version of the protocol, as the semantic conventions write them. Drafts of 1.3 are 1.3.
pub(super) fn version(number: u16) -> (&'static str, Text) {
    match number {
        0x0300 => ("ssl", Text::const_new("3")),
        0x0301 => ("tls", Text::const_new("1.0")),
        0x0302 => ("tls", Text::const_new("1.1")),
        0x0303 => ("tls", Text::const_new("1.2")),
        _ if is_1_3(number) => ("tls", Text::const_new("1.3")),
        _ => ("tls", numbered(&[], number)),
    }
}

/// Drafts are 0x7fNN, and Facebook's 0xfbNN.
pub(super) fn is_1_3(number: u16) -> bool {
    number == TLS_1_3 || matches!(number >> 8, 0x7f | 0xfb)
}
