//! The functions of layers and the losses.

use gradloom::nn::functional::{self, DotProductOptions, EmbeddingBagOptions, MultiHeadOptions};
use gradloom::nn::losses::{
    self, BceOptions, ClassOptions, CtcOptions, LossReduction, MultiMarginOptions,
};
use gradloom::{DType, Key, Tensor};

use crate::given::{Given, Row, calls};

const MEAN: LossReduction = LossReduction::Mean;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = of_layers();
    rows.extend(of_losses());
    rows
}

fn heads(g: &Given, mask: &Tensor) -> MultiHeadOptions {
    MultiHeadOptions {
        heads: g.size,
        in_proj_weight: Tensor::ones([9, 3], DType::F32, g.x.device()),
        in_proj_bias: None,
        out_proj_weight: Tensor::ones([3, 3], DType::F32, g.x.device()),
        out_proj_bias: None,
        bias_key_value: None,
        add_zero: true,
        mask: Some(mask.clone()),
        dropout: 0.0,
        key: None,
    }
}

fn of_layers() -> Vec<Row> {
    calls! { g;
        scaled_dot_product_attention = functional::scaled_dot_product_attention(
            &g.x, &g.x, &g.x, &DotProductOptions { mask: Some(g.y.clone()), ..Default::default() },
        );
        scaled_dot_product_attention = functional::scaled_dot_product_attention(
            &g.x, &g.y, &g.x, &DotProductOptions { causal: true, grouped: true, ..Default::default() },
        );
        attention_logsumexp = functional::attention_logsumexp(
            &g.x, &g.x, &DotProductOptions { mask: Some(g.y.clone()), ..Default::default() },
        );
        attention_logsumexp = functional::attention_logsumexp(
            &g.x, &g.y, &DotProductOptions { causal: true, ..Default::default() },
        );
        multi_head_attention =
            functional::multi_head_attention(&g.x, &g.x, &g.x, &heads(g, &g.y));
        multi_head_attention =
            functional::multi_head_attention(&g.x, &g.y, &g.y, &heads(g, &g.mask));
        pairwise_distance = functional::pairwise_distance(&g.x, &g.y, -1.0, 1e-6);
        bilinear = functional::bilinear(&g.x, &g.y, &g.x, Some(&g.y));
        dropout = functional::dropout(&g.x, 0.5, Some(Key::new(1)));
        dropout_channels = functional::dropout_channels(&g.x, 0.5, Some(Key::new(1)));
        alpha_dropout = functional::alpha_dropout(&g.x, 0.5, Some(Key::new(1)));
        feature_alpha_dropout = functional::feature_alpha_dropout(&g.x, 0.5, Some(Key::new(1)));
        dropout_gradient = functional::dropout_gradient(&g.x, &g.y, 2.0);
        rrelu = functional::rrelu(&g.x, 0.1, 0.3, Some(Key::new(1)));
        embedding_bag = functional::embedding_bag(&g.x, &g.y, &EmbeddingBagOptions::default());
        embedding_bag = functional::embedding_bag(
            &g.x, &g.line, &EmbeddingBagOptions { offsets: Some(g.y.clone()), ..Default::default() },
        );
        batch_norm = functional::batch_norm(&g.x, Some((&g.y, &g.y)), Some(&g.y), None, 1e-5);
        instance_norm = functional::instance_norm(&g.x, Some(&g.y), None, 1e-5);
        layer_norm = functional::layer_norm(&g.x, g.size, Some(&g.y), None, 1e-5);
        group_norm = functional::group_norm(&g.x, g.size, Some(&g.y), None, 1e-5);
        rms_norm = functional::rms_norm(&g.x, g.size, Some(&g.y), 1e-5);
        local_response_norm = functional::local_response_norm(&g.x, g.size, 1e-4, 0.75, 1.0);
    }
}

fn of_losses() -> Vec<Row> {
    calls! { g;
        cross_entropy = losses::cross_entropy(&g.x, &g.y, &ClassOptions::default().axis(g.axis));
        cross_entropy = losses::cross_entropy(
            &g.x, &g.line, &ClassOptions::default().ignore_index(i64::MAX).weight(&g.y),
        );
        nll = losses::nll(&g.x, &g.y, &ClassOptions::default().axis(g.axis));
        linear_cross_entropy = losses::linear_cross_entropy(
            &g.x, &g.x, Some(&g.y), &g.line, &ClassOptions::default(), Some(g.size),
        );
        linear_cross_entropy = losses::linear_cross_entropy(
            &g.x, &g.x, None, &g.y, &ClassOptions::default(), None,
        );
        ctc = losses::ctc(
            &g.x, &g.y, &g.line, &g.line, &CtcOptions { blank: g.size, ..Default::default() },
        );
        binary_cross_entropy = losses::binary_cross_entropy(&g.x, &g.x, Some(&g.y), MEAN);
        huber = losses::huber(&g.x, &g.y, 1.0, MEAN);
        smooth_l1 = losses::smooth_l1(&g.x, &g.y, 0.0, MEAN);
        poisson_nll = losses::poisson_nll(&g.x, &g.y, true, true, 1e-8, MEAN);
        gaussian_nll = losses::gaussian_nll(&g.x, &g.x, &g.y, true, 1e-6, MEAN);
        kl_div = losses::kl_div(&g.x, &g.y, false, MEAN);
        multi_margin = losses::multi_margin(&g.x, &g.y, &MultiMarginOptions::default());
        multilabel_margin = losses::multilabel_margin(&g.x, &g.y, MEAN);
        multilabel_soft_margin = losses::multilabel_soft_margin(&g.x, &g.x, Some(&g.y), MEAN);
        soft_margin = losses::soft_margin(&g.x, &g.y, MEAN);
        margin_ranking = losses::margin_ranking(&g.x, &g.x, &g.y, 0.5, MEAN);
        hinge_embedding = losses::hinge_embedding(&g.x, &g.y, 0.5, MEAN);
        cosine_embedding = losses::cosine_embedding(&g.x, &g.x, &g.y, 0.5, MEAN);
        mse = losses::mse(&g.x, &g.y, MEAN);
        l1 = losses::l1(&g.x, &g.y, MEAN);
        bce_with_logits = losses::bce_with_logits(
            &g.x, &g.x, &BceOptions { weight: Some(g.y.clone()), ..Default::default() },
        );
        weighted_cross_entropy = losses::weighted_cross_entropy(&g.x, &g.line, &g.y);
        focal = losses::focal(&g.x, &g.y, 2.0);
        triplet = losses::triplet(&g.x, &g.x, &g.y, 0.5);
        info_nce = losses::info_nce(&g.x, &g.y, 0.5);
    }
}
