//! Zig's `-mcpu` from Rust's target features.
//!
//! The CPU starts from the target's baseline, and every feature that rustc reports in
//! `CARGO_CFG_TARGET_FEATURE` is added under Zig's name for it. That covers `-C target-feature`
//! and `-C target-cpu`, `native` included, because rustc expands both into features.
//!
//! A feature that is left out costs speed and never correctness: rustc doesn't let a feature
//! change a target's calling convention. So one that this crate has never heard of (from a newer
//! rustc) is left out with a warning, and those in [`NOT_INSTRUCTIONS`] are left out silently.
//! The other direction is not done: `-C target-feature=-foo` doesn't remove `foo` from a baseline.

/// Target features that say nothing about which instructions the CPU has.
const NOT_INSTRUCTIONS: &[&str] = &[
    "crt-static",      // how the C library is linked
    "outline-atomics", // calls helpers that choose the instructions at run time
    "relax",           // linker relaxation
    "thumb-mode",      // which of two encodings Rust uses; calls between them work
    "d32",             // reported even where only 16 registers are promised
    "fp64",            // a register model, fixed by the target
];

/// An `-mcpu` argument, and the features that could not be expressed in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) flag: String,
    pub(crate) unknown: Vec<String>,
}

/// Adds Rust's `features` (comma-separated) to `baseline` for the architecture that Zig calls
/// `arch`.
pub(crate) fn with_features(baseline: &str, arch: &str, features: &str) -> Cpu {
    let table = table(arch);
    let mut cpu = Cpu { flag: baseline.to_owned(), unknown: Vec::new() };
    for feature in features.split(',').filter(|feature| !feature.is_empty()) {
        if NOT_INSTRUCTIONS.contains(&feature) {
            continue;
        }
        match translate(table, feature) {
            Some(names) => {
                cpu.flag.push('+');
                cpu.flag.push_str(&names);
            }
            None => cpu.unknown.push(feature.to_owned()),
        }
    }
    cpu
}

/// Zig's name or names (joined by `+`) for a feature of Rust.
fn translate(table: &str, feature: &str) -> Option<String> {
    table.split_ascii_whitespace().find_map(|entry| match entry.split_once('=') {
        Some((rust, zig)) => (rust == feature).then(|| zig.to_owned()),
        None => (entry == feature).then(|| feature.replace(['-', '.'], "_")),
    })
}

/// The features of an architecture by Rust's names, as of Rust 1.95. `rust=zig` where Zig's name
/// is more than Rust's with `_` for `-` and `.`; `rust=a+b` where Zig splits the feature.
fn table(arch: &str) -> &'static str {
    match arch {
        "x86" | "x86_64" => X86,
        "aarch64" | "aarch64_be" => AARCH64,
        "arm" | "armeb" | "thumb" | "thumbeb" => ARM,
        "riscv32" | "riscv64" => RISCV,
        "powerpc" | "powerpc64" | "powerpc64le" => POWERPC,
        "s390x" => S390X,
        "loongarch32" | "loongarch64" => LOONGARCH,
        "wasm32" | "wasm64" => WASM,
        "mips" | "mipsel" | "mips64" | "mips64el" => "msa virt",
        "sparc" | "sparc64" => "leoncasa=hasleoncasa v8plus v9",
        _ => "",
    }
}

const X86: &str = "
    adx aes amx-avx512 amx-bf16 amx-complex amx-fp16 amx-fp8 amx-int8 amx-movrs amx-tf32 amx-tile
    apxf=ccmp+cf+egpr+ndd+nf+ppx+push2pop2+zu avx avx10.1 avx10.2 avx2 avx512bf16 avx512bitalg
    avx512bw avx512cd avx512dq avx512f avx512fp16 avx512ifma avx512vbmi avx512vbmi2 avx512vl
    avx512vnni avx512vp2intersect avx512vpopcntdq avxifma avxneconvert avxvnni avxvnniint16
    avxvnniint8 bmi1=bmi bmi2 cmpxchg16b=cx16 ermsb f16c fma fxsr gfni kl lahfsahf=sahf lzcnt movbe
    movrs pclmulqdq=pclmul popcnt prfchw rdrand=rdrnd rdseed rtm sha sha512 sm3 sm4 sse sse2 sse3
    sse4.1 sse4.2=sse4_2+crc32 sse4a ssse3 tbm vaes vpclmulqdq widekl x87 xop xsave xsavec xsaveopt
    xsaves";

const AARCH64: &str = "
    aes bf16 bti crc cssc dit dotprod dpb=ccpp dpb2=ccdp ecv f32mm f64mm faminmax fcma=complxnum
    fhm=fp16fml flagm flagm2=altnzcv fp16=fullfp16 fp8 fp8dot2 fp8dot4 fp8fma frintts=fptoint hbc
    i8mm jsconv lor lse lse128 lse2 lut mops mte neon paca=pauth pacg=pauth pan pauth-lr
    pmuv3=perfmon rand ras rcpc rcpc2=rcpc_immo rcpc3 rdm sb sha2 sha3 sm4 sme sme-b16b16
    sme-f16f16 sme-f64f64 sme-f8f16 sme-f8f32 sme-fa64 sme-i16i64 sme-lutv2 sme2 sme2p1 spe ssbs
    ssve-fp8dot2 ssve-fp8dot4 ssve-fp8fma sve sve-b16b16 sve2 sve2-aes sve2-bitperm sve2-sha3
    sve2-sm4 sve2p1 v8.1a v8.2a v8.3a v8.4a v8.5a v8.6a v8.7a v8.8a v8.9a v9.1a v9.2a v9.3a v9.4a
    v9.5a v9a vh wfxt";

const ARM: &str = "
    aclass aes crc dotprod dsp fp-armv8=fp_armv8d16 fp16 fpregs i8mm mclass neon rclass sha2
    soft-float thumb2 trustzone v5te=has_v5te v6=has_v6 v6k=has_v6k v6t2=has_v6t2 v7=has_v7
    v8=has_v8 vfp2 vfp3=vfp3d16 vfp4=vfp4d16 virtualization";

const RISCV: &str = "
    a b c d e f m rva23u64 supm unaligned-scalar-mem unaligned-vector-mem v za128rs za64rs zaamo
    zabha zacas zalrsc zama16b zawrs zba zbb zbc zbkb zbkc zbkx zbs zca zcb zcmop zdinx zfa
    zfbfmin zfh zfhmin zfinx zhinx zhinxmin zic64b zicbom zicbop zicboz ziccamoa ziccif zicclsm
    ziccrse zicntr zicond zicsr zifencei zihintntl zihintpause zihpm zimop zk zkn zknd zkne zknh
    zkr zks zksed zksh zkt ztso zvbb zvbc zve32f zve32x zve64d zve64f zve64x zvfbfmin zvfbfwma
    zvfh zvfhmin zvkb zvkg zvkn zvknc zvkned zvkng zvknha zvknhb zvks zvksc zvksed zvksg zvksh
    zvkt zvl1024b zvl128b zvl16384b zvl2048b zvl256b zvl32768b zvl32b zvl4096b zvl512b zvl64b
    zvl65536b zvl8192b";

const POWERPC: &str = "
    altivec msync partword-atomics power10-vector power8-altivec power8-crypto=crypto
    power8-vector power9-altivec power9-vector quadword-atomics vsx";

const S390X: &str = "
    backchain concurrent-functions deflate-conversion enhanced-sort guarded-storage high-word
    message-security-assist-extension3 message-security-assist-extension4
    message-security-assist-extension5 message-security-assist-extension8
    message-security-assist-extension9 message-security-assist-extension12
    miscellaneous-extensions-2 miscellaneous-extensions-3 miscellaneous-extensions-4 nnp-assist
    transactional-execution vector vector-enhancements-1 vector-enhancements-2
    vector-enhancements-3 vector-packed-decimal vector-packed-decimal-enhancement
    vector-packed-decimal-enhancement-2 vector-packed-decimal-enhancement-3";

const LOONGARCH: &str = "
    32s d div32 f frecipe lam-bh lamcas lasx lbt ld-seq-sa lsx lvz scq ual";

const WASM: &str = "
    atomics bulk-memory exception-handling extended-const gc multivalue mutable-globals
    nontrapping-fptoint reference-types relaxed-simd sign-ext simd128 tail-call wide-arithmetic";

/// Every feature of each architecture, for the test that asks Zig whether it knows them.
#[doc(hidden)]
pub fn all_features() -> impl Iterator<Item = (&'static str, String)> {
    let arches = [
        "x86_64",
        "aarch64",
        "arm",
        "riscv64",
        "powerpc64le",
        "s390x",
        "loongarch64",
        "wasm32",
        "mips64",
        "sparc64",
    ];
    arches.into_iter().map(|arch| {
        let features: Vec<_> = table(arch)
            .split_ascii_whitespace()
            .map(|entry| entry.split('=').next().unwrap_or(entry))
            .collect();
        (arch, with_features("baseline", arch, &features.join(",")).flag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_and_names_that_do_not() {
        let table = [
            ("x86_64", "avx2", "avx2"),
            ("x86_64", "sse4.1", "sse4_1"),
            ("x86_64", "sse4.2", "sse4_2+crc32"),
            ("x86_64", "bmi1", "bmi"),
            ("x86", "cmpxchg16b", "cx16"),
            ("x86_64", "lahfsahf", "sahf"),
            ("x86_64", "pclmulqdq", "pclmul"),
            ("x86_64", "rdrand", "rdrnd"),
            ("x86_64", "amx-tile", "amx_tile"),
            ("aarch64", "fp16", "fullfp16"),
            ("aarch64", "paca", "pauth"),
            ("aarch64_be", "v8.1a", "v8_1a"),
            ("arm", "v7", "has_v7"),
            ("riscv64", "zba", "zba"),
            ("riscv64", "unaligned-scalar-mem", "unaligned_scalar_mem"),
            ("powerpc64le", "power8-crypto", "crypto"),
            ("s390x", "vector-enhancements-1", "vector_enhancements_1"),
            ("loongarch64", "lam-bh", "lam_bh"),
            ("wasm32", "nontrapping-fptoint", "nontrapping_fptoint"),
            ("sparc64", "leoncasa", "hasleoncasa"),
        ];
        for (arch, rust, zig) in table {
            let cpu = with_features("baseline", arch, rust);
            assert_eq!(cpu.flag, format!("baseline+{zig}"), "{arch} {rust}");
            assert!(cpu.unknown.is_empty(), "{arch} {rust}");
        }
    }

    #[test]
    fn lists_add_up_in_order() {
        let cpu = with_features("z10", "s390x", "vector,crt-static,high-word");
        assert_eq!(cpu.flag, "z10+vector+high_word");
        assert_eq!(with_features("baseline", "x86_64", "").flag, "baseline");
    }

    #[test]
    fn unknown_features_are_reported_and_left_out() {
        let cpu = with_features("baseline", "x86_64", "avx,quantum,neon");
        assert_eq!(cpu.flag, "baseline+avx");
        assert_eq!(cpu.unknown, ["quantum", "neon"]);
    }
}
