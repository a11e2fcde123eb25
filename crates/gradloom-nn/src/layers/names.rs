//! Names of layers that exist for one, two and three axes.

/// Names of a layer for each number of axes.
macro_rules! names {
    ($layer:ident: $one:ident, $two:ident, $three:ident) => {
        #[doc = concat!("[`", stringify!($layer), "`] of sequences `[N, C, L]`.")]
        pub type $one = $layer<1>;
        #[doc = concat!("[`", stringify!($layer), "`] of pictures `[N, C, H, W]`.")]
        pub type $two = $layer<2>;
        #[doc = concat!("[`", stringify!($layer), "`] of volumes `[N, C, D, H, W]`.")]
        pub type $three = $layer<3>;
    };
}

pub(crate) use names;
