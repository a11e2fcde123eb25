//! The methods of tensors.

use gradloom::ops::attention::AttentionOptions;
use gradloom::ops::convolution::{ConvOptions, ConvTransposeOptions};
use gradloom::ops::grid_sampling::GridOptions;
use gradloom::ops::interpolation::{InterpolateOptions, Interpolation as Mode};
use gradloom::ops::loss::CrossEntropyOptions;
use gradloom::ops::padding::PadMode;
use gradloom::ops::pooling::PoolOptions;
use gradloom::ops::scatter::ScatterReduction;
use gradloom::ops::unfold::UnfoldOptions;
use gradloom::{Bins, CovOptions, DType, Interpolation, Key, Shape, Tensor, s};

use crate::given::{Row, calls};

/// Every method, by what it takes.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = elementwise();
    rows.extend(reductions());
    rows.extend(along_axes());
    rows.extend(views());
    rows.extend(indices());
    rows.extend(windows());
    rows.extend(products_and_losses());
    rows.extend(created());
    rows.extend(of_masked());
    rows
}

fn elementwise() -> Vec<Row> {
    calls! { g;
        sqrt = g.x.sqrt();
        rsqrt = g.x.rsqrt();
        reciprocal = g.x.reciprocal();
        exp = g.x.exp();
        exp2 = g.x.exp2();
        expm1 = g.x.expm1();
        log = g.x.log();
        log1p = g.x.log1p();
        sin = g.x.sin();
        cos = g.x.cos();
        asin = g.x.asin();
        acos = g.x.acos();
        atan = g.x.atan();
        sinh = g.x.sinh();
        cosh = g.x.cosh();
        tanh = g.x.tanh();
        erf = g.x.erf();
        erfc = g.x.erfc();
        erfcx = g.x.erfcx();
        erfinv = g.x.erfinv();
        lgamma = g.x.lgamma();
        digamma = g.x.digamma();
        trigamma = g.x.trigamma();
        i0 = g.x.i0();
        i0e = g.x.i0e();
        i1 = g.x.i1();
        i1e = g.x.i1e();
        sigmoid = g.x.sigmoid();
        neg = g.x.neg();
        abs = g.x.abs();
        sign = g.x.sign();
        floor = g.x.floor();
        ceil = g.x.ceil();
        round = g.x.round();
        relu = g.x.relu();
        is_nan = g.x.is_nan();
        logical_not = g.x.logical_not();
        asinh = g.x.asinh();
        acosh = g.x.acosh();
        atanh = g.x.atanh();
        frac = g.x.frac();
        sinc = g.x.sinc();
        signbit = g.x.signbit();
        square = g.x.square();
        log2 = g.x.log2();
        log10 = g.x.log10();
        tan = g.x.tan();
        trunc = g.x.trunc();
        is_inf = g.x.is_inf();
        is_finite = g.x.is_finite();
        ndtr = g.x.ndtr();
        log_ndtr = g.x.log_ndtr();
        ndtri = g.x.ndtri();
        entr = g.x.entr();
        spherical_bessel_j0 = g.x.spherical_bessel_j0();
        angle = g.x.angle();
        bessel_j0 = g.x.bessel_j0();
        bessel_j1 = g.x.bessel_j1();
        bessel_y0 = g.x.bessel_y0();
        bessel_y1 = g.x.bessel_y1();
        k0 = g.x.k0();
        k0e = g.x.k0e();
        k1 = g.x.k1();
        k1e = g.x.k1e();
        airy_ai = g.x.airy_ai();
        frexp = g.x.frexp();
        selu = g.x.selu();
        gelu = g.x.gelu();
        gelu_tanh = g.x.gelu_tanh();
        silu = g.x.silu();
        mish = g.x.mish();
        softplus = g.x.softplus();
        softsign = g.x.softsign();
        hardtanh = g.x.hardtanh();
        hardsigmoid = g.x.hardsigmoid();
        hardswish = g.x.hardswish();
        relu6 = g.x.relu6();
        log_sigmoid = g.x.log_sigmoid();
        bitnot = g.x.bitnot();
        add = g.x.add(&g.y);
        sub = g.x.sub(&g.y);
        mul = g.x.mul(&g.y);
        div = g.x.div(&g.y);
        rem = g.x.rem(&g.y);
        pow = g.x.pow(&g.y);
        maximum = g.x.maximum(&g.y);
        minimum = g.x.minimum(&g.y);
        eq = g.x.eq(&g.y);
        ne = g.x.ne(&g.y);
        lt = g.x.lt(&g.y);
        le = g.x.le(&g.y);
        gt = g.x.gt(&g.y);
        ge = g.x.ge(&g.y);
        logical_and = g.x.logical_and(&g.y);
        logical_or = g.x.logical_or(&g.y);
        logical_xor = g.x.logical_xor(&g.y);
        true_divide = g.x.true_divide(&g.y);
        trunc_divide = g.x.trunc_divide(&g.y);
        floor_divide = g.x.floor_divide(&g.y);
        remainder = g.x.remainder(&g.y);
        fmod = g.x.fmod(&g.y);
        bitand = g.x.bitand(&g.y);
        bitor = g.x.bitor(&g.y);
        bitxor = g.x.bitxor(&g.y);
        left_shift = g.x.left_shift(&g.y);
        right_shift = g.x.right_shift(&g.y);
        xlogy = g.x.xlogy(&g.y);
        xlog1py = g.x.xlog1py(&g.y);
        logaddexp = g.x.logaddexp(&g.y);
        hypot = g.x.hypot(&g.y);
        atan2 = g.x.atan2(&g.y);
        copysign = g.x.copysign(&g.y);
        fmax = g.x.fmax(&g.y);
        fmin = g.x.fmin(&g.y);
        zeta = g.x.zeta(&g.y);
        chebyshev_polynomial_t = g.x.chebyshev_polynomial_t(g.size);
        chebyshev_polynomial_u = g.x.chebyshev_polynomial_u(g.size);
        chebyshev_polynomial_v = g.x.chebyshev_polynomial_v(g.size);
        chebyshev_polynomial_w = g.x.chebyshev_polynomial_w(g.size);
        shifted_chebyshev_polynomial_t = g.x.shifted_chebyshev_polynomial_t(g.size);
        shifted_chebyshev_polynomial_u = g.x.shifted_chebyshev_polynomial_u(g.size);
        shifted_chebyshev_polynomial_v = g.x.shifted_chebyshev_polynomial_v(g.size);
        shifted_chebyshev_polynomial_w = g.x.shifted_chebyshev_polynomial_w(g.size);
        hermite_polynomial_h = g.x.hermite_polynomial_h(g.size);
        hermite_polynomial_he = g.x.hermite_polynomial_he(g.size);
        laguerre_polynomial_l = g.x.laguerre_polynomial_l(g.size);
        legendre_polynomial_p = g.x.legendre_polynomial_p(g.size);
        leaky_relu = g.x.leaky_relu(0.1);
        elu = g.x.elu(1.0);
        celu = g.x.celu(1.0);
        softplus_with as "softplus" = g.x.softplus_with(1.0, 20.0);
        hardshrink = g.x.hardshrink(0.5);
        softshrink = g.x.softshrink(0.5);
        threshold = g.x.threshold(0.5, 1.0);
        nan_to_num = g.x.nan_to_num(0.5, None, None);
        isclose = g.x.isclose(&g.y, 1e-5, 1e-8, true);
        allclose as "isclose" = g.x.allclose(&g.y, 1e-5, 1e-8, true);
        equal as "eq" = g.x.equal(&g.y);
        logit = g.x.logit(Some(1e-3));
        heaviside = g.x.heaviside(&g.y);
        nextafter = g.x.nextafter(&g.y);
        igamma = g.x.igamma(&g.y);
        igammac = g.x.igammac(&g.y);
        powf = g.x.powf(2.5);
        powi = g.x.powi(i32::MAX);
        clamp = g.x.clamp(&g.y, 0.5);
        lerp = g.x.lerp(&g.y, 0.5);
        select = g.x.select(&g.y, 0.5);
        masked_fill = g.x.masked_fill(&g.y, 0.5);
        polygamma = g.x.polygamma(g.size);
        mvlgamma = g.x.mvlgamma(g.size);
        prelu = g.x.prelu(&g.y);
        cast = g.x.cast(DType::F64);
        check_index as "called" = g.x.check_index(g.size, "called");
        full_like as "full" = g.x.full_like(0.5);
        constant_like as "constant" = g.x.constant_like(0.5);
        rand_like = g.x.rand_like(Key::new(1));
        randn_like = g.x.randn_like(Key::new(1));
        randint_like as "randint" = g.x.randint_like(Key::new(1), 3, 1);
        bernoulli_of = g.x.bernoulli_of(Key::new(1));
        normal_of = Tensor::normal_of(Key::new(1), &g.x, &g.y);
        multinomial = g.x.multinomial(Key::new(1), g.size, false);
    }
}

fn reductions() -> Vec<Row> {
    calls! { g;
        sum = g.x.sum(g.axis);
        sum_keepdim = g.x.sum_keepdim([g.axis, 0]);
        mean = g.x.mean(g.axis);
        mean_keepdim = g.x.mean_keepdim([g.axis, 0]);
        max = g.x.max(g.axis);
        max_keepdim = g.x.max_keepdim([g.axis, 0]);
        min = g.x.min(g.axis);
        min_keepdim = g.x.min_keepdim([g.axis, 0]);
        any = g.x.any(g.axis);
        any_keepdim = g.x.any_keepdim([g.axis, 0]);
        all = g.x.all(g.axis);
        all_keepdim = g.x.all_keepdim([g.axis, 0]);
        count_nonzero = g.x.count_nonzero(g.axis);
        count_nonzero_keepdim = g.x.count_nonzero_keepdim([g.axis, 0]);
        logsumexp = g.x.logsumexp(g.axis);
        logsumexp_keepdim = g.x.logsumexp_keepdim([g.axis, 0]);
        norm = g.x.norm(g.axis);
        norm_keepdim = g.x.norm_keepdim([g.axis, 0]);
        prod = g.x.prod(g.axis);
        prod_keepdim = g.x.prod_keepdim([g.axis, 0]);
        nansum = g.x.nansum(g.axis);
        nansum_keepdim = g.x.nansum_keepdim([g.axis, 0]);
        nanmean = g.x.nanmean(g.axis);
        nanmean_keepdim = g.x.nanmean_keepdim([g.axis, 0]);
        var = g.x.var(g.axis, 1);
        var_keepdim = g.x.var_keepdim(.., 1);
        std = g.x.std(g.axis, 1);
        std_keepdim = g.x.std_keepdim(.., 1);
        cov = g.x.cov(&CovOptions::default().frequencies(&g.y));
        corrcoef = g.x.corrcoef();
        trace = g.x.trace();
        histc = g.x.histc(g.size, 0.0, 0.0);
        histogram = g.x.histogram(g.size, Some(&g.y), true);
        histogramdd = g.x.histogramdd(&[Bins::Count(g.size), Bins::Edges(g.y.clone())], None, true);
        nonzero = g.x.nonzero();
        nonzero_static = g.x.nonzero_static(g.size, -1);
        masked_select = g.x.masked_select(&g.y);
        unique = g.x.unique();
        unique_along = g.x.unique_along(g.axis);
        unique_consecutive = g.x.unique_consecutive();
        unique_consecutive_along = g.x.unique_consecutive_along(g.axis);
        segment_reduce = g.x.segment_reduce(&g.y, ScatterReduction::Mean, None);
        segment_reduce_offsets as "segment_reduce" =
            g.x.segment_reduce_offsets(&g.y, ScatterReduction::Max, None);
    }
}

fn along_axes() -> Vec<Row> {
    calls! { g;
        argmax = g.x.argmax(g.axis);
        argmax_keepdim = g.x.argmax_keepdim(g.axis);
        argmin = g.x.argmin(g.axis);
        argmin_keepdim = g.x.argmin_keepdim(g.axis);
        cumsum = g.x.cumsum(g.axis);
        cumprod = g.x.cumprod(g.axis);
        cummax = g.x.cummax(g.axis);
        cummin = g.x.cummin(g.axis);
        logcumsumexp = g.x.logcumsumexp(g.axis);
        max_with_index = g.x.max_with_index(g.axis);
        min_with_index = g.x.min_with_index(g.axis);
        median = g.x.median(g.axis);
        nanmedian = g.x.nanmedian(g.axis);
        mode = g.x.mode(g.axis);
        softmax = g.x.softmax(g.axis);
        log_softmax = g.x.log_softmax(g.axis);
        safe_softmax = g.x.safe_softmax(g.axis);
        glu = g.x.glu(g.axis);
        unbind = g.x.unbind(g.axis);
        squeeze = g.x.squeeze(g.axis);
        unsqueeze = g.x.unsqueeze(g.axis);
        size = g.x.size(g.axis);
        kthvalue = g.x.kthvalue(g.size, g.axis);
        quantile = g.x.quantile(0.5, g.axis);
        quantiles = g.x.quantiles(&[0.5], g.axis, Interpolation::Linear);
        nanquantiles = g.x.nanquantiles(&[0.5], g.axis, Interpolation::Nearest);
        quantiles_of = g.x.quantiles_of(&g.y, g.axis, Interpolation::Linear);
        nanquantiles_of = g.x.nanquantiles_of(&g.y, g.axis, Interpolation::Linear);
        gradient = g.x.gradient(g.axis, &g.y, 2);
        sort = g.x.sort(g.axis, true);
        argsort = g.x.argsort(g.axis, true);
        topk = g.x.topk(g.size, g.axis, true);
        searchsorted = g.x.searchsorted(&g.y, true);
        searchsorted_by = g.x.searchsorted_by(&g.index, &g.y, true);
        bucketize = g.x.bucketize(&g.y, true);
        normalize = g.x.normalize(g.axis, 1e-5);
        normalize_by = g.x.normalize_by(3.0, g.axis, 1e-5);
        softmax_gradient = g.x.softmax_gradient(&g.y, g.axis);
        layer_norm = g.x.layer_norm(g.size, Some(&g.y), None, 1e-5);
        rms_norm = g.x.rms_norm(Some(&g.y), 1e-5);
        group_norm = g.x.group_norm(g.size, Some(&g.y), None, 1e-5);
    }
}

fn views() -> Vec<Row> {
    calls! { g;
        reshape = g.x.reshape([g.size, 2]);
        flatten = g.x.flatten(g.axis, -1);
        permute = g.x.permute(&[g.axis, 0]);
        transpose = g.x.transpose(g.axis, 1);
        t = g.x.t();
        broadcast_to = g.x.broadcast_to([g.size, 2, 3]);
        flip = g.x.flip(g.axis);
        pad = g.x.pad(&[(g.size, 1), (0, 2)]);
        pad_value = g.x.pad_value(&[(g.size, 1), (0, 2)], 0.5);
        pad_mode = g.x.pad_mode(&[[g.axis, 1]], PadMode::Reflect);
        pad_or_cut = g.x.pad_or_cut(&[(g.axis, 1)], 0.5);
        roll = g.x.roll(g.axis, g.axis);
        repeat = g.x.repeat(&[g.size, 2]);
        slice = g.x.slice(s![g.size.., 1]);
        narrow = g.x.narrow(g.axis, g.size, 1);
        index = g.x.index(g.axis, g.axis);
        split = g.x.split(&[g.size, 1], g.axis);
        chunk = g.x.chunk(g.size, g.axis);
        concat = Tensor::concat(&[&g.x, &g.y], g.axis);
        stack = Tensor::stack(&[&g.x, &g.y], g.axis);
        movedim = g.x.movedim(g.axis, 0);
        movedims = g.x.movedims(&[g.axis, 0], &[0, 1]);
        atleast_1d = g.x.atleast_1d();
        atleast_2d = g.x.atleast_2d();
        atleast_3d = g.x.atleast_3d();
        unflatten = g.x.unflatten(g.axis, &[g.axis, 2]);
        rot90 = g.x.rot90(g.axis, 0, 1);
        diagonal = g.x.diagonal(g.axis, 0, 1);
        diag_embed = g.x.diag_embed(g.axis);
        diag_embed_axes = g.x.diag_embed_axes(1, g.axis, 0);
        repeat_interleave = g.x.repeat_interleave(g.size, g.axis);
        repeat_interleave_each = g.x.repeat_interleave_each(&[1, g.size], g.axis);
        sliding_windows = g.x.sliding_windows(g.axis, g.size, 1);
        meshgrid = Tensor::meshgrid(&[g.x.clone(), g.y.clone()]);
        meshgrid_xy as "meshgrid" = Tensor::meshgrid_xy(&[g.x.clone(), g.y.clone()]);
        narrow_at = g.x.narrow_at(g.axis, &g.y, g.size);
        tensor_split_at = g.x.tensor_split_at(&[g.axis, 1], g.axis);
        tensor_split = g.x.tensor_split(g.size, g.axis);
        combinations = g.x.combinations(g.size, true);
        resize = g.x.resize([g.size, 2]);
        chunk_concat = Tensor::chunk_concat(&[&g.x, &g.y], g.axis, g.size);
        slice_scatter = g.x.slice_scatter(&g.y, g.axis, 1..);
        select_scatter = g.x.select_scatter(&g.y, g.axis, g.axis);
        diagonal_scatter = g.x.diagonal_scatter(&g.y, g.axis, 0, 1);
        as_strided = g.x.as_strided(&[2, g.size], &[1, g.size], g.size);
        as_strided_scatter = g.x.as_strided_scatter(&g.y, &[g.size], 0);
        tril = g.x.tril(g.axis);
        triu = g.x.triu(g.axis);
    }
}

fn indices() -> Vec<Row> {
    calls! { g;
        one_hot = g.x.one_hot(g.size);
        gather = g.x.gather(g.axis, &g.y);
        scatter = g.x.scatter(g.axis, &g.index, &g.y);
        scatter_add = g.x.scatter_add(g.axis, &g.index, &g.y);
        scatter_add_zeros as "scatter_add" =
            Tensor::scatter_add_zeros([g.size, 3], g.axis, &g.y, &g.x);
        scatter_reduce = g.x.scatter_reduce(g.axis, &g.index, &g.y, ScatterReduction::Mean, true);
        take = g.x.take(g.axis, &g.y);
        index_select = g.x.index_select(g.axis, &g.y);
        embedding = g.x.embedding(&g.y);
        index_by = g.x.index_by(&[None, Some(&g.y), Some(&g.line)]);
        index_put = g.x.index_put(&[Some(&g.line), Some(&g.line)], &g.y, true);
        put = g.x.put(&g.index, &g.y, true);
        masked_scatter = g.x.masked_scatter(&g.mask, &g.y);
        index_reduce = g.x.index_reduce(g.axis, &g.line, &g.y, ScatterReduction::Mean, true);
        index_add = g.x.index_add(g.axis, &g.line, &g.y, 0.5);
        index_copy = g.x.index_copy(g.axis, &g.line, &g.y);
        index_fill = g.x.index_fill(g.axis, &g.line, 0.5);
        write = g.x.write(g.axis, &g.line, &g.y);
        masked = g.x.masked(&g.y).sum(..);
    }
}

fn windows() -> Vec<Row> {
    calls! { g;

        max_pool1d = g.x.max_pool1d(&PoolOptions::new([g.size]).padding([1]));
        avg_pool1d = g.x.avg_pool1d(&PoolOptions::new([g.size]).padding([1]));
        max_pool1d_with_indices = g.x.max_pool1d_with_indices(&PoolOptions::new([g.size]));
        lp_pool1d = g.x.lp_pool1d(2.0, &PoolOptions::new([g.size]));
        adaptive_avg_pool1d = g.x.adaptive_avg_pool1d([g.size]);
        adaptive_max_pool1d = g.x.adaptive_max_pool1d([g.size]);
        adaptive_max_pool1d_with_indices = g.x.adaptive_max_pool1d_with_indices([g.size]);
        max_unpool1d = g.x.max_unpool1d(&g.index, &PoolOptions::new([g.size]), Some([g.size]));
        conv1d = g.x.conv1d(&g.y, &ConvOptions::<1>::default().stride([g.size]).groups(g.size));
        conv_transpose1d = g.x.conv_transpose1d(&g.y, &ConvTransposeOptions::<1>::default().stride([g.size]));
        max_pool2d = g.x.max_pool2d(&PoolOptions::new([g.size, 1]).padding([1, g.size]));
        avg_pool2d = g.x.avg_pool2d(&PoolOptions::new([g.size, 1]).padding([1, g.size]));
        max_pool2d_with_indices = g.x.max_pool2d_with_indices(&PoolOptions::new([g.size, 1]));
        lp_pool2d = g.x.lp_pool2d(2.0, &PoolOptions::new([g.size, 1]));
        adaptive_avg_pool2d = g.x.adaptive_avg_pool2d([g.size, 1]);
        adaptive_max_pool2d = g.x.adaptive_max_pool2d([g.size, 1]);
        adaptive_max_pool2d_with_indices = g.x.adaptive_max_pool2d_with_indices([g.size, 1]);
        max_unpool2d = g.x.max_unpool2d(&g.index, &PoolOptions::new([g.size, 1]), Some([g.size, 1]));
        conv2d = g.x.conv2d(&g.y, &ConvOptions::<2>::default().stride([g.size, 1]).groups(g.size));
        conv_transpose2d = g.x.conv_transpose2d(&g.y, &ConvTransposeOptions::<2>::default().stride([g.size, 1]));
        max_pool3d = g.x.max_pool3d(&PoolOptions::new([g.size, 1, 1]).padding([1, g.size, g.size]));
        avg_pool3d = g.x.avg_pool3d(&PoolOptions::new([g.size, 1, 1]).padding([1, g.size, g.size]));
        max_pool3d_with_indices = g.x.max_pool3d_with_indices(&PoolOptions::new([g.size, 1, 1]));
        lp_pool3d = g.x.lp_pool3d(2.0, &PoolOptions::new([g.size, 1, 1]));
        adaptive_avg_pool3d = g.x.adaptive_avg_pool3d([g.size, 1, 1]);
        adaptive_max_pool3d = g.x.adaptive_max_pool3d([g.size, 1, 1]);
        adaptive_max_pool3d_with_indices = g.x.adaptive_max_pool3d_with_indices([g.size, 1, 1]);
        max_unpool3d = g.x.max_unpool3d(&g.index, &PoolOptions::new([g.size, 1, 1]), Some([g.size, 1, 1]));
        conv3d = g.x.conv3d(&g.y, &ConvOptions::<3>::default().stride([g.size, 1, 1]).groups(g.size));
        conv_transpose3d = g.x.conv_transpose3d(&g.y, &ConvTransposeOptions::<3>::default().stride([g.size, 1, 1]));
        fractional_max_pool2d = g.x.fractional_max_pool2d([1, 2], [g.size, 1], &g.y);
        fractional_max_pool3d = g.x.fractional_max_pool3d([1, 1, 2], [g.size, 1, 1], &g.y);
        fractional_draws = g.x.fractional_draws(Key::new(1));
        global_avg_pool2d = g.x.global_avg_pool2d();
        unfold = g.x.unfold(&UnfoldOptions::<2>::new([g.size, 1]));
        fold = g.x.fold([g.size, 3], &UnfoldOptions::<2>::new([1, 2]));
        interpolate = g.x.interpolate(&[g.size, 2], &InterpolateOptions::new(Mode::Linear));
        interpolate_by as "interpolate" =
            g.x.interpolate_by(&[g.size as f64], true, &InterpolateOptions::new(Mode::Nearest));
        grid_sample = g.x.grid_sample(&g.y, &GridOptions::default());
    }
}

fn products_and_losses() -> Vec<Row> {
    calls! { g;
        inner = g.x.inner(&g.y);
        kron = g.x.kron(&g.y);
        dot = g.x.dot(&g.y);
        outer = g.x.outer(&g.y);
        matmul = g.x.matmul(&g.y);
        mse_loss = g.x.mse_loss(&g.y);
        l1_loss = g.x.l1_loss(&g.y);
        bce_with_logits = g.x.bce_with_logits(&g.y);
        binary_cross_entropy = g.x.binary_cross_entropy(&g.y);
        kl_div = g.x.kl_div(&g.y);
        hinge_loss = g.x.hinge_loss(&g.y);
        matmul_as as "matmul" = g.x.matmul_as(&g.y, DType::F32);
        binary_cross_entropies as "binary_cross_entropy" = g.x.binary_cross_entropies(&g.y);
        tensordot = g.x.tensordot(&g.y, &[g.axis], &[0]);
        einsum = Tensor::einsum("ij,jk->ik", &[g.x.clone(), g.y.clone()]);
        cdist = g.x.cdist(&g.y, 3.0);
        pdist = g.x.pdist(3.0);
        attention = Tensor::attention(&g.x, &g.y, &g.x, &AttentionOptions::default().mask(&g.y));
        attention_with_weights as "attention" =
            Tensor::attention_with_weights(&g.x, &g.x, &g.x, &AttentionOptions::default().mask(&g.y));
        cross_entropy = g.x.cross_entropy(&g.y);
        cross_entropy_with as "cross_entropy" =
            g.x.cross_entropy_with(&g.y, &CrossEntropyOptions::default().ignore_index(i32::MIN));
        nll_loss = g.x.nll_loss(&g.y);
        huber_loss = g.x.huber_loss(&g.y, 1.0);
        smooth_l1_loss = g.x.smooth_l1_loss(&g.y, 1.0);
        cosine_similarity = g.x.cosine_similarity(&g.y, g.axis);
        cosine_similarity_with as "cosine_similarity" =
            g.x.cosine_similarity_with(&g.y, g.axis, 1e-3);
    }
}

fn created() -> Vec<Row> {
    calls! { g;
        constant = Tensor::constant([g.size, 2], -1, g.x.dtype(), g.x.device());
        full = Tensor::full([g.size, 2], 0.5, g.x.dtype(), g.x.device());
        scalar as "full" = Tensor::scalar(0.5, g.x.dtype(), g.x.device());
        zeros = Tensor::zeros([g.size, 2], g.x.dtype(), g.x.device());
        ones = Tensor::ones([g.size, 2], g.x.dtype(), g.x.device());
        iota = Tensor::iota(Shape::new(&[g.size, 2]), g.axis, g.x.device());
        arange = Tensor::arange(g.size, g.x.device());
        arange_range = Tensor::arange_range(0.0, g.size as f64, 1.0, g.x.dtype(), g.x.device());
        linspace = Tensor::linspace(0.0, 1.0, g.size, g.x.dtype(), g.x.device());
        linspace_between as "linspace" = Tensor::linspace_between(&g.x, &g.y, g.size);
        logspace = Tensor::logspace(0.0, 1.0, g.size, 2.0, g.x.dtype(), g.x.device());
        logspace_between as "logspace" = Tensor::logspace_between(&g.x, &g.y, g.size, 2.0);
        eye = Tensor::eye(g.size, g.x.dtype(), g.x.device());
        eye_matrix = Tensor::eye_matrix(2, g.size, g.x.dtype(), g.x.device());
        random_bits = Tensor::random_bits(Key::new(1), [g.size, 2], g.x.device());
        uniform = Tensor::uniform(Key::new(1), [g.size, 2], 0.0, 1.0, g.x.device());
        normal = Tensor::normal(Key::new(1), [g.size, 2], 0.0, 1.0, g.x.device());
        bernoulli = Tensor::bernoulli(Key::new(1), [g.size, 2], 0.5, g.x.device());
        randint = Tensor::randint(Key::new(1), [g.size, 2], 0, 3, g.x.device());
        permutation = Tensor::permutation(Key::new(1), g.size, g.x.device());
        log_normal = Tensor::log_normal(Key::new(1), [g.size, 2], 0.0, 1.0, g.x.device());
        exponential = Tensor::exponential(Key::new(1), [g.size, 2], 1.0, g.x.device());
        cauchy = Tensor::cauchy(Key::new(1), [g.size, 2], 0.0, 1.0, g.x.device());
        geometric = Tensor::geometric(Key::new(1), [g.size, 2], 0.5, g.x.device());
    }
}

/// The methods of `Masked`, whose messages begin with `masked`.
fn of_masked() -> Vec<Row> {
    calls! { g;
        masked_sum as "masked sum" = g.masked().sum(g.axis);
        masked_prod as "masked prod" = g.masked().prod(g.axis);
        masked_max as "masked max" = g.masked().max(g.axis);
        masked_min as "masked min" = g.masked().min(g.axis);
        masked_logsumexp as "masked logsumexp" = g.masked().logsumexp(g.axis);
        masked_mean as "masked mean" = g.masked().mean(g.axis);
        masked_argmax as "masked argmax" = g.masked().argmax(g.axis);
        masked_argmin as "masked argmin" = g.masked().argmin(g.axis);
        masked_cumsum as "masked cumsum" = g.masked().cumsum(g.axis);
        masked_cumprod as "masked cumprod" = g.masked().cumprod(g.axis);
        masked_softmax as "masked softmax" = g.masked().softmax(g.axis);
        masked_log_softmax as "masked log_softmax" = g.masked().log_softmax(g.axis);
        masked_median as "masked median" = g.masked().median(g.axis);
        masked_var as "masked var" = g.masked().var(g.axis, 1);
        masked_std as "masked std" = g.masked().std(g.axis, 1);
        masked_logaddexp as "masked logaddexp" = g.masked().logaddexp(&g.masked());
    }
}
