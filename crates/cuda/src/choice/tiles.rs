//! Which tile a matrix product takes, and into how many parts its sum is cut: from the shape and the number of
//! multiprocessors alone, so that the bits are the same from run to run.
//!
//! The tiles are those of `kernels/gemm_*.cuh`. A block does one tile; the model below counts the cycles of the
//! multiprocessor with the most blocks.

use ironlearn_ir::plan::SUM_ROWS;

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32 in memory, exact products.
    F32,
    /// f32 in memory, operands rounded to tf32.
    Tf32,
    /// bf16 in memory, sums in f32.
    Bf16,
    /// The same with the instructions that only compute capability 9.0 has (`sm_90a`).
    Bf16Hopper,
}

/// A tile, as the kernels' text names it, and how to launch it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The name of its type, such as `il_bf16_128x128`.
    pub tile: &'static str,
    /// The template that takes it, such as `il_gemm_bf16`.
    pub function: &'static str,
    /// Rows of the result by a block.
    pub bm: usize,
    /// Columns of the result by a block.
    pub bn: usize,
    /// Depth of one step of the sum.
    pub bk: usize,
    /// Threads of a block.
    pub threads: usize,
    /// Blocks meant for a multiprocessor (the second number of `__launch_bounds__`).
    pub blocks: usize,
    /// Bytes of dynamic shared memory.
    pub shared_bytes: usize,
    /// Parts of the sum; more than one needs scratch of `splits * m * n` f32 for each matrix of the batch.
    pub splits: usize,
}

/// A tile's shape, and what is known of its speed.
struct Tile {
    name: &'static str,
    /// Rows, columns, depth.
    shape: [usize; 3],
    /// Rows and columns of a warp; in exact f32 of a thread; of wgmma those that a group of four warps has.
    part: [usize; 2],
    stages: usize,
    blocks: usize,
    /// Share of the rate of the best tile that it reaches with all its blocks on a multiprocessor.
    speed: f64,
}

const F32: [Tile; 4] = [
    tile("il_f32_128x128", [128, 128, 16], [8, 8], 3, 2, 1.0),
    tile("il_f32_128x64", [128, 64, 16], [8, 8], 3, 4, 0.95),
    tile("il_f32_64x64", [64, 64, 16], [4, 8], 3, 4, 0.8),
    tile("il_f32_32x32", [32, 32, 16], [2, 8], 3, 8, 0.5),
];
const TF32: [Tile; 4] = [
    tile("il_tf32_128x128", [128, 128, 16], [64, 64], 4, 2, 1.0),
    tile("il_tf32_128x64", [128, 64, 16], [64, 32], 4, 3, 0.85),
    tile("il_tf32_64x64", [64, 64, 16], [32, 32], 4, 5, 0.6),
    tile("il_tf32_32x32", [32, 32, 32], [16, 16], 4, 6, 0.3),
];
const BF16: [Tile; 5] = [
    tile("il_bf16_128x256", [128, 256, 32], [64, 64], 4, 1, 1.0),
    tile("il_bf16_128x128", [128, 128, 32], [64, 64], 4, 2, 1.0),
    tile("il_bf16_128x64", [128, 64, 32], [64, 32], 4, 4, 0.8),
    tile("il_bf16_64x64", [64, 64, 32], [32, 32], 4, 4, 0.6),
    tile("il_bf16_32x32", [32, 32, 64], [16, 16], 4, 6, 0.3),
];

/// Those of [`Precision::Bf16Hopper`], of which the last are [`BF16`] again.
const HOPPER: [Tile; 7] = {
    let [a, b, c, d, e] = BF16;
    [
        tile("il_wgmma_128x256", [128, 256, 64], [64, 256], 4, 1, 1.6),
        tile("il_wgmma_128x128", [128, 128, 64], [64, 128], 3, 2, 1.6),
        a,
        b,
        c,
        d,
        e,
    ]
};

const fn tile(
    name: &'static str,
    shape: [usize; 3],
    part: [usize; 2],
    stages: usize,
    blocks: usize,
    speed: f64,
) -> Tile {
    Tile { name, shape, part, stages, blocks, speed }
}

impl Precision {
    fn tiles(self) -> &'static [Tile] {
        match self {
            Precision::F32 => &F32,
            Precision::Tf32 => &TF32,
            Precision::Bf16 => &BF16,
            Precision::Bf16Hopper => &HOPPER,
        }
    }

    /// Bytes of an element of A and B.
    fn bytes(self) -> usize {
        match self {
            Precision::F32 | Precision::Tf32 => 4,
            Precision::Bf16 | Precision::Bf16Hopper => 2,
        }
    }

    /// Multiply-adds of a multiprocessor in a cycle, as the best tile does them.
    fn rate(self) -> f64 {
        match self {
            Precision::F32 => 96.0,
            Precision::Tf32 => 512.0,
            Precision::Bf16 | Precision::Bf16Hopper => 1200.0,
        }
    }
}

/// Bytes that a multiprocessor reads from the L2 in a cycle.
const L2_BYTES: f64 = 40.0;
/// Bytes of results and partial sums that it writes or reads in a cycle.
const OUT_BYTES: f64 = 24.0;
/// Cycles until a block's first operands are there.
const FILL: f64 = 1500.0;
/// Cycles of one more kernel.
const KERNEL: f64 = 4000.0;
/// Steps of the sum in one part, at least.
const SHORTEST: usize = 8;
/// Bytes of partial sums, at most.
const SCRATCH: usize = 64 << 20;

/// The tile and the number of parts for `batch` products of `[m, k]` by `[k, n]` on `sms` multiprocessors.
pub fn choose(m: usize, n: usize, k: usize, batch: usize, precision: Precision, sms: usize) -> Choice {
    best([m, n, k], batch, precision, sms, |_| true, true)
}

/// The tile for a product of many rows whose sum is in one part, and each warp or group of warps of which has
/// [`SUM_ROWS`] rows.
pub fn choose_whole(m: usize, n: usize, k: usize, precision: Precision, sms: usize) -> Choice {
    best([m, n, k], 1, precision, sms, |tile| tile.part[0] == SUM_ROWS, false)
}

fn best(
    [m, n, k]: [usize; 3],
    batch: usize,
    precision: Precision,
    sms: usize,
    fits: impl Fn(&Tile) -> bool,
    may_cut: bool,
) -> Choice {
    let (batch, sms) = (batch.max(1), sms.max(1));
    let out = m.saturating_mul(n).saturating_mul(batch);
    let mut best: Option<(f64, Choice)> = None;
    for tile in precision.tiles().iter().filter(|tile| fits(tile)) {
        let tiles = m.div_ceil(tile.shape[0]).max(1) * n.div_ceil(tile.shape[1]).max(1) * batch;
        let longest = (k / (tile.shape[2] * SHORTEST)).clamp(1, SCRATCH / 4 / out.clamp(1, SCRATCH / 4));
        for resident in 0..=tile.blocks {
            let most = if may_cut { longest } else { 1 };
            let splits = (sms * resident / tiles).clamp(1, most);
            let cycles = tile.cycles([m, n, k], batch, splits, precision, sms);
            if best.as_ref().is_none_or(|(least, _)| cycles < *least) {
                best = Some((cycles, tile.choice(precision, splits)));
            }
        }
    }
    best.expect("every precision has such tiles").1
}

/// Every tile of a precision, for sums in one part.
pub fn tiles(precision: Precision) -> impl Iterator<Item = Choice> {
    precision.tiles().iter().map(move |tile| tile.choice(precision, 1))
}

impl Choice {
    /// Blocks of 128 threads for the kernel that adds up the parts of one `[m, n]`.
    pub fn sum_blocks(&self, m: usize, n: usize) -> usize {
        // As il_splitk_blocks has it.
        let groups = match self.splits {
            32.. => 8,
            8.. => 4,
            _ => 1,
        };
        (m * n.div_ceil(8)).div_ceil(128 / groups).max(1)
    }
}

impl Tile {
    fn choice(&self, precision: Precision, splits: usize) -> Choice {
        let [bm, bn, bk] = self.shape;
        let [rows, columns] = self.part;
        let parts = bm / rows * (bn / columns);
        // As SHARED of the tile's type has it: padded rows, and strips of 16 rows for each warp on the way out.
        let strips = parts * 16 * (columns + 8) * 4;
        let (function, stage, out, threads) = match precision {
            Precision::F32 => ("il_gemm_f32", bk * (bm + bn + 8) * 4, 0, parts),
            Precision::Tf32 => ("il_gemm_tf32", bk * (bm + bn + 16) * 4, strips, parts * 32),
            _ if self.is_wgmma() => {
                ("il_gemm_wgmma", bk * (bm + bn) * 2, parts * 64 * (columns + 8) * 4, parts * 128)
            }
            Precision::Bf16 | Precision::Bf16Hopper => {
                ("il_gemm_bf16", bk * (bm + bn) * 2, strips, parts * 32)
            }
        };
        let aligned = if self.is_wgmma() { 1024 } else { 0 };
        let shared_bytes = (self.stages * stage).max(out) + aligned;
        let tile = self.name;
        Choice { tile, function, bm, bn, bk, threads, blocks: self.blocks, shared_bytes, splits }
    }

    fn is_wgmma(&self) -> bool {
        self.name.starts_with("il_wgmma")
    }

    /// Cycles of the multiprocessor that has the most blocks, and of the sum over the parts.
    fn cycles(
        &self,
        [m, n, k]: [usize; 3],
        batch: usize,
        splits: usize,
        precision: Precision,
        sms: usize,
    ) -> f64 {
        let [bm, bn, bk] = self.shape;
        let tiles = m.div_ceil(bm) * n.div_ceil(bn) * batch * splits;
        let busiest = tiles.div_ceil(sms);
        let depth = (k.div_ceil(bk).div_ceil(splits) * bk) as f64;
        // A block alone keeps a multiprocessor about 60 % busy.
        let busy = if self.blocks == 1 { 1.0 } else { (0.6 * busiest.min(self.blocks) as f64).min(1.0) };
        let products = (bm * bn) as f64 * depth / (precision.rate() * self.speed * busy);
        let loads = (bm + bn) as f64 * depth * precision.bytes() as f64 / L2_BYTES;
        let stores = (bm * bn * 4) as f64 / OUT_BYTES;
        let block = products.max(loads) + stores;
        let rounds = busiest.div_ceil(self.blocks) as f64;
        let sum = if splits > 1 {
            KERNEL + ((splits + 1) * m * n * batch * 4) as f64 / (sms as f64 * OUT_BYTES)
        } else {
            0.0
        };
        busiest as f64 * block + rounds * FILL + sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Precision; 4] = [Precision::F32, Precision::Tf32, Precision::Bf16, Precision::Bf16Hopper];

    /// The tiles are those of the kernels' text, number by number.
    #[test]
    fn tiles_are_those_of_the_text() {
        let texts = [
            include_str!("../../kernels/gemm_f32.cuh"),
            include_str!("../../kernels/gemm_tf32.cuh"),
            include_str!("../../kernels/gemm_bf16.cuh"),
            include_str!("../../kernels/gemm_wgmma.cuh"),
        ];
        let mut lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
        lines.retain(|line| line.starts_with("using il_"));
        for tile in F32.iter().chain(&TF32).chain(&HOPPER) {
            let at =
                lines.iter().position(|line| line.starts_with(&format!("using {} ", tile.name))).unwrap();
            let numbers = lines.swap_remove(at).split_once('<').unwrap().1.trim_end_matches(">;");
            let numbers: Vec<usize> = numbers.split(", ").map(|x| x.parse().unwrap()).collect();
            let [bm, bn, bk] = tile.shape;
            let ours = match tile.name.split('_').nth(1) {
                Some("f32") => vec![bm, bn, bk, tile.part[0], tile.stages, tile.blocks],
                Some("wgmma") => vec![bm, bn, tile.stages, numbers[3], tile.blocks],
                _ => vec![bm, bn, bk, tile.part[0], tile.part[1], tile.stages, tile.blocks],
            };
            assert_eq!(numbers, ours, "{}", tile.name);
        }
        assert!(lines.is_empty(), "{lines:?}");
    }

    #[test]
    fn any_shape_has_a_choice_that_can_be_launched() {
        let sizes = [0, 1, 31, 33, 257, 4096, 40_000, 1 << 20];
        for precision in ALL {
            for m in sizes {
                for n in sizes {
                    for k in sizes {
                        for batch in [0, 1, 100] {
                            let c = choose(m, n, k, batch, precision, 132);
                            assert!((32..=1024).contains(&c.threads), "{c:?}");
                            let most = if precision == Precision::Bf16Hopper { 227 } else { 99 };
                            assert!(c.shared_bytes <= most << 10, "{c:?}");
                            assert!(c.splits >= 1 && (c.splits == 1 || c.splits * c.bk <= k), "{c:?}");
                            assert!(c.splits == 1 || c.splits * m * n * batch.max(1) * 4 <= SCRATCH, "{c:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn weight_gradients_are_split_and_tall_products_are_not() {
        for precision in ALL {
            let gradient = choose(256, 256, 40_000, 1, precision, 132);
            let blocks = 256usize.div_ceil(gradient.bm) * 256usize.div_ceil(gradient.bn) * gradient.splits;
            assert!(blocks > 100, "{gradient:?}");
            assert_eq!(choose(40_000, 256, 256, 1, precision, 132).splits, 1);
        }
    }

    #[test]
    fn small_products_take_small_tiles() {
        for precision in ALL {
            assert_eq!(choose(16, 16, 16, 1, precision, 132).bm, 32);
            assert!(choose(4096, 4096, 4096, 1, precision, 132).bm == 128);
        }
    }
}
