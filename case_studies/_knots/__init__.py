"""Parts of the study `knots`: laws of one product, ways to predict the signature, relations without a target."""
