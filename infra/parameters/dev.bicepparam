// A trial: little load, no network of its own, nothing paid for by the hour that can be paid for by use.
using '../main.bicep'

param environmentName = 'dev'
param alertEmail = 'operators@example.com'
param vaultPurgeProtection = false
param paymentProvider = 'simulated'
param cosmosServerless = true
param serviceBusSku = 'Standard'
param minReplicas = 1
param maxReplicas = 3
param logRetentionDays = 30
param logDailyCapGb = 1
param monthlyBudget = 350
