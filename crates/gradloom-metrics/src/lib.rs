//! What a model is worth, as numbers.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod accumulator;
mod inputs;

mod classification;
mod scores;
mod text;
mod boxes;
mod coco;
mod detection;
mod regression;
mod ranking;
mod perplexity;
mod bootstrap;
mod groups;
mod images;
mod generated;

pub use accumulator::{Accumulator, Mean};
pub use bootstrap::{Bootstrap, Interval};
pub use boxes::{Detection, GroundTruth, box_iou};
pub use classification::{
    Average, ClassReport, ConfusionMatrix, KappaWeights, LabelCounts, MultiLabel, TopK,
    ZeroDivision, accuracy, balanced_accuracy, cohen_kappa, dice, iou, matthews,
    precision_recall_f, top_k_accuracy,
};
pub use coco::CocoSummary;
pub use detection::MeanAveragePrecision;
pub use generated::{
    FeatureStatistics, InceptionScore, KernelDistance, KernelDistanceReport, frechet_distance,
    inception_score, polynomial_mmd,
};
pub use gradloom_error::{Error, ErrorKind, Result};
pub use groups::{GroupRates, Rates};
pub use images::{ChannelAxis, Ssim, psnr, ssim};
pub use inputs::Label;
pub use perplexity::{Perplexity, perplexity};
pub use ranking::{RankingMeans, RankingReport, hit_rate, ndcg, ndcg_in_order, reciprocal_rank};
pub use regression::{Regression, RegressionReport, mae, mape, mse, r2, rmse};
pub use scores::{
    BinaryScores, Brier, Calibration, CalibrationBin, ClassAverage, ClassScores, LogLoss,
    PrecisionRecallCurve, RocCurve, average_precision, brier, brier_of_classes,
    expected_calibration_error, log_loss, roc_auc,
};
pub use text::{
    Bleu, BleuReport, ChrF, EditCounts, ErrorRate, Rouge, RougeReport, RougeScore, Unit, bleu, cer,
    chrf, rouge, tokenize_13a, wer,
};
