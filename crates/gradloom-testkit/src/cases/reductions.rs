//! Reductions over any axes, their use in the same row, scans, extremes and sorting.

use gradloom_tensor::{CovOptions, DType, Interpolation};

use crate::case::Case;

const ODD: &[f64] =
    &[1.0, f64::NAN, 3.0, -2.0, 7.0, f64::INFINITY, 3.0, 3.0, f64::NEG_INFINITY, 0.0, 5.0, 5.0];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("sum of all", |x| (&x[0] * &x[0]).sum(..)).float(&[3, 4, 5]),
        Case::new("sum of the last axis", |x| x[0].exp().sum(-1)).float(&[3, 40]),
        Case::new("sum of the first axis", |x| x[0].exp().sum(0)).float(&[30, 7]),
        Case::new("sum of the middle axis", |x| x[0].sum(1) * 2.0).float(&[3, 4, 5]),
        Case::new("sum of outer axes", |x| x[0].square().sum([0, 2, 3])).float(&[3, 4, 5, 6]),
        Case::new("sum of many", |x| x[0].sum(..)).float(&[70_001]).smooth(1),
        Case::new("sum of long columns", |x| x[0].sum(0)).float(&[5_000, 3]).smooth(1),
        Case::new("mean", |x| x[0].exp().mean([1])).float(&[4, 9]),
        Case::new("max of the last axis", |x| x[0].max(-1)).float(&[4, 9]),
        Case::new("max of the first axis", |x| x[0].max(0)).float(&[9, 4]),
        Case::new("min of all", |x| x[0].min(..)).float(&[4, 9]),
        Case::new("max with NaN", |x| x[0].max(1)).listed(&[3, 4], ODD).smooth(0),
        Case::new("min with NaN", |x| x[0].min(0)).listed(&[3, 4], ODD).smooth(0),
        Case::new("var", |x| x[0].var([1], 1)).float(&[4, 9]),
        Case::new("var of outer axes", |x| x[0].var([0, 2], 0)).float(&[4, 3, 5]),
        Case::new("std", |x| x[0].std([1], 1)).float(&[4, 9]),
        Case::new("norm", |x| x[0].norm(..)).float(&[4, 9]),
        Case::new("logsumexp", |x| x[0].logsumexp(-1)).float(&[4, 9]),
        Case::new("normalise by the sum", |x| &x[0] / x[0].sum_keepdim(-1)).positive(&[4, 9]),
        Case::new("normalise by the norm of all", |x| &x[0] / x[0].norm(..)).float(&[30, 40]),
        Case::new("two reductions of one operand", |x| x[0].sum(0) * x[0].square().sum(0))
            .float(&[9, 4]),
        Case::new("reduction of a reduction", |x| x[0].exp().sum(1).log().sum(0)).float(&[5, 6]),
        Case::new("sum of booleans", |x| x[0].gt(0.0).sum(1)).float(&[4, 9]).smooth(0),
        Case::new("any and all", |x| x[0].gt(1.9).any(1).logical_or(x[0].gt(-5.0).all(1)))
            .float(&[4, 9])
            .smooth(0),
        Case::new("sum over nothing", |x| x[0].sum(1)).float(&[3, 0]).smooth(0),
        Case::new("argmax", |x| x[0].argmax(1)).float(&[4, 9]).smooth(0),
        Case::new("argmin of the first axis", |x| x[0].argmin(0)).float(&[4, 9]).smooth(0),
        Case::new("argmax with NaN and ties", |x| x[0].argmax(1)).listed(&[3, 4], ODD).smooth(0),
        Case::new("cumsum", |x| x[0].cumsum(1) * 2.0).float(&[3, 7]),
        Case::new("cumsum of the first axis", |x| x[0].exp().cumsum(0)).float(&[7, 3]),
        Case::new("prod", |x| x[0].prod([0, 2])).float(&[3, 4, 5]),
        Case::new("prod with zeros", |x| x[0].round().prod(1))
            .listed(&[3, 4], &[0.0, 2.0, 0.0, 3.0, 1.0]),
        Case::new("cumprod", |x| x[0].cumprod(1)).float(&[3, 7]),
        Case::new("cumprod through a zero", |x| x[0].cumprod(0))
            .listed(&[5], &[2.0, -1.5, 0.0, 3.0, 0.5]),
        Case::new("cummax with NaN", |x| x[0].cummax(1).1).listed(&[3, 4], ODD).smooth(0),
        Case::new("cummin", |x| x[0].cummin(0).0).float(&[9, 3]),
        Case::new("logcumsumexp", |x| x[0].logcumsumexp(1)).float(&[3, 9]),
        Case::new("median", |x| x[0].median(1).0).float(&[3, 8]),
        Case::new("quantile", |x| x[0].quantile(0.3, 1)).float(&[3, 8]),
        Case::new("nanmean", |x| x[0].nanmean(1)).listed(&[3, 4], ODD).smooth(0),
        Case::new("quantiles", |x| x[0].quantiles(&[0.1, 0.9, 1.0], 1, Interpolation::Linear))
            .float(&[3, 8]),
        Case::new("quantiles between", |x| x[0].quantiles(&[0.3], 0, Interpolation::Midpoint))
            .float(&[4, 3]),
        Case::new("nanquantiles", |x| x[0].nanquantiles(&[0.5, 0.2], 1, Interpolation::Lower))
            .listed(&[3, 4], ODD)
            .smooth(0),
        Case::new("nanmedian", |x| x[0].nanmedian(1).0).listed(&[3, 4], ODD).smooth(0),
        Case::new("mode", |x| x[0].mode(1).0).listed(&[3, 4], ODD).smooth(0),
        Case::new("index of the mode", |x| x[0].mode(0).1).int(&[9, 3]).smooth(0),
        Case::new("cov", |x| x[0].cov(&CovOptions::default().importances(&x[1]).correction(0.5)))
            .float(&[3, 6])
            .positive(&[6]),
        Case::new("corrcoef", |x| x[0].corrcoef()).float(&[3, 6]),
        Case::new("slope between neighbours", |x| x[0].gradient(1, 0.5, 2)).float(&[3, 5]),
        Case::new("slope at coordinates", |x| x[0].gradient(0, x[1].cumsum(0), 1))
            .float(&[5, 2])
            .positive(&[5]),
        Case::new("histc", |x| x[0].histc(4, -1.0, 1.0)).float(&[5, 9]).smooth(0),
        Case::new("histogram", |x| x[0].histogram(3, Some(&x[1]), false).0)
            .listed(&[8], &[0.1, 0.2, 0.7, 0.9, 1.3, 2.4, 2.9, 3.1])
            .float(&[8])
            .smooth(0),
        Case::new("masked sum and mean", |x| {
            let some = x[0].masked(&x[1]);
            some.sum(1) * some.mean(1)
        })
        .float(&[4, 9])
        .bool(&[9]),
        Case::new("masked extremes", |x| {
            let some = x[0].masked(&x[1]);
            some.max(0) - some.min(0)
        })
        .float(&[9, 4])
        .bool(&[9, 4])
        .smooth(0),
        Case::new("masked std", |x| x[0].masked(&x[0].gt(-0.9)).std(.., 1))
            .float(&[4, 9])
            .smooth(1),
        Case::new("masked softmax", |x| x[0].masked(&x[1]).softmax(1)).float(&[4, 9]).bool(&[9]),
        Case::new("masked median", |x| x[0].masked(&x[1]).median(1)).float(&[4, 9]).bool(&[9]),
        Case::new("masked index", |x| x[0].masked(&x[1]).argmin(1))
            .int(&[4, 9])
            .bool(&[9])
            .smooth(0),
        Case::new("fractional correction", |x| x[0].var(1, 0.5)).float(&[4, 9]),
        Case::new("searchsorted", |x| x[0].sort(1, false).0.searchsorted(&x[1], false))
            .float(&[3, 17])
            .float(&[3, 5])
            .smooth(0),
        Case::new("bucketize with ties", |x| x[0].bucketize(&x[1].sort(0, false).0, true))
            .int(&[3, 17])
            .int(&[5])
            .smooth(0),
        Case::new("argsort", |x| x[0].argsort(1, false)).float(&[3, 17]).smooth(0),
        Case::new("argsort descending with ties and NaN", |x| x[0].argsort(1, true))
            .listed(&[3, 4], ODD)
            .smooth(0),
        Case::new("sort", |x| x[0].sort(0, false).0 * 2.0).float(&[9, 3]),
        Case::new("topk", |x| x[0].topk(3, 1, true).0.exp()).float(&[3, 17]),
        Case::new("mean of a cast", |x| x[0].cast(DType::F32).mean(..)).int(&[5, 6]).smooth(0),
    ]
}
