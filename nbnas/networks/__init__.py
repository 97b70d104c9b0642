"""Any torch network: its layers, its weights, one recorded pass, exact gradients."""
